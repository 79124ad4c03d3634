/** The pods of the matrix, from the poorest to the richest. */
import { readdirSync } from 'node:fs';
import path from 'node:path';
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

/** @param authority PEM of what the stores of pods are to trust besides their own; @param bashes folder of other bashes, named by their version */
export function podPlans(authority: string, bashes: string): PodPlan[] {
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
    ...otherBashes(bashes, authority),
  ];
}

/** Each bash of another version alone, and the oldest one also with tools. */
function otherBashes(folder: string, authority: string): PodPlan[] {
  const versions = readdirSync(folder).sort();
  const plan = (version: string) => ({ bash: path.join(folder, version), programs: ['bash-static'] });
  const alone = versions.map((version): PodPlan => ({ ...plan(version), name: `bash-${version}`, transport: 'tcp', mounts: [] }));
  const withTools = versions.slice(0, 1).map((version): PodPlan => {
    const programs = ['bash-static', ...COREUTILS, 'openssl'];
    return { ...plan(version), name: `openssl-${version}`, transport: 'openssl', programs, store: authority, mounts: MOUNTS };
  });
  return [...alone, ...withTools];
}

/** With everything that a stub can use. */
export function richPlan(name: string, transport: Transport, authority: string): PodPlan {
  return { name, transport, programs: [...USUAL, 'curl', 'openssl'], store: authority, mounts: MOUNTS };
}
