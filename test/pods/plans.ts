/** The pods of the matrix, from the poorest to the richest. */
import type { PodPlan, Transport } from './pod.ts';

const COREUTILS = [
  ...[
    'base64',
    'cat',
    'chmod',
    'cp',
    'cut',
    'date',
    'dd',
    'df',
    'echo',
    'env',
    'expr',
    'head',
    'id',
    'ls',
    'mkdir',
    'mktemp',
    'mv',
    'nproc',
    'od',
  ],
  ...[
    'printf',
    'readlink',
    'rm',
    'sha256sum',
    'sleep',
    'sort',
    'stat',
    'stty',
    'tail',
    'tee',
    'test',
    'timeout',
    'touch',
    'tr',
    'uname',
    'wc',
  ],
];
const USUAL = ['bash', ...COREUTILS, 'grep', 'sed'];
const MOUNTS = ['--proc', '/proc', '--dev', '/dev', '--tmpfs', '/tmp'];

/** @param authority PEM of what the stores of pods are to trust besides their own */
export function podPlans(authority: string): PodPlan[] {
  return [
    { name: 'bash', transport: 'tcp', programs: ['bash-static'], mounts: [] },
    { name: 'bash+dev', transport: 'tcp', programs: ['bash-static'], mounts: ['--dev', '/dev'] },
    { name: 'busybox', transport: 'tcp', programs: ['bash-static'], busybox: true, mounts: MOUNTS },
    { name: 'ubi', transport: 'curl', programs: [...USUAL, 'curl'], store: authority, mounts: MOUNTS },
    { name: 'openssl', transport: 'openssl', programs: ['bash', ...COREUTILS, 'openssl'], store: authority, mounts: MOUNTS },
    // Neither /proc, /dev nor /tmp, and nothing to write to.
    { name: 'openssl-bare', transport: 'openssl', programs: ['bash', 'openssl'], store: authority, mounts: [] },
    { name: 'curl-bare', transport: 'curl', programs: ['bash', 'curl'], store: authority, mounts: [] },
    richPlan('both', 'openssl', authority),
    { ...richPlan('both/curl', 'curl', authority), env: { MEDIATOR_TRANSPORT: 'curl' } },
  ];
}

/** With everything that a stub can use. */
export function richPlan(name: string, transport: Transport, authority: string): PodPlan {
  return { name, transport, programs: [...USUAL, 'curl', 'openssl'], store: authority, mounts: MOUNTS };
}
