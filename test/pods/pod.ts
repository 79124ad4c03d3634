/** One pod: a root folder in namespaces of its own, entered by bubblewrap as a user whom nobody knows, without any capability. */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync } from 'node:fs';
import path from 'node:path';
import { soon } from '../helpers/wait.ts';
import { joinPod } from './network.ts';
import { makeRoot, type RootPlan } from './roots.ts';

/** As OpenShift gives them out: arbitrary, without an entry in any passwd. */
const USER = ['--unshare-user', '--uid', '1000650000', '--gid', '0', '--cap-drop', 'ALL'];
const NAMESPACES = ['--unshare-pid', '--unshare-ipc', '--unshare-uts', '--die-with-parent', '--new-session'];
/** Milliseconds after which a call has hung. */
const PATIENCE = 120_000;

export type Transport = 'tcp' | 'openssl' | 'curl';

export interface PodPlan extends RootPlan {
  /** One word: the head of its column. */
  name: string;
  transport: Transport;
  /** Settings of the stub that every call has. */
  env?: Record<string, string>;
}

export interface CallOptions {
  stdin?: string | Buffer;
  env?: Record<string, string>;
  /** Over TLS: the stub that trusts the certificate which is baked into it, or the one that trusts the store of the pod. */
  stub?: 'tls' | 'store';
}

export interface Called {
  code: number | null;
  stdout: Buffer;
  stderr: string;
  /** Milliseconds from the start of bubblewrap to the end. */
  time: number;
}

/** @param folder for its root; @param stubs becomes /stub in the pod */
export async function makePod(plan: PodPlan, { folder, stubs }: { folder: string; stubs: string }): Promise<Pod> {
  const root = mkdtempSync(path.join(folder, 'pod-'));
  chmodSync(root, 0o755);
  await makeRoot(root, plan);
  return new Pod(plan, await joinPod(), ['--ro-bind', root, '/', '--ro-bind', stubs, '/stub', ...plan.mounts]);
}

export class Pod {
  readonly plan: PodPlan;
  /** What joinPod returned. */
  readonly network: string;
  readonly #mounts: string[];

  constructor(plan: PodPlan, network: string, mounts: string[]) {
    this.plan = plan;
    this.network = network;
    this.#mounts = mounts;
  }

  /** Calls its stub, to the end. */
  async stub(args: string[], options: CallOptions = {}): Promise<Called> {
    return this.run([stubOf(this, options.stub), ...args], options);
  }

  /** Runs bash in it, to the end. Nothing of this process's environment gets in. */
  async run(args: string[], { stdin = '', env = {} }: CallOptions = {}): Promise<Called> {
    const { child, ended } = this.#start(args, env);
    child.stdin.end(stdin);
    return ended;
  }

  /** Starts bash in it. Its stdin stays open. */
  open(args: string[], env: Record<string, string> = {}): { say: (text: string) => void; end: () => void; ended: Promise<Called> } {
    const { child, ended } = this.#start(args, env);
    return { say: (text) => child.stdin.write(text), end: () => child.stdin.end(), ended };
  }

  #start(args: string[], env: Record<string, string>): { child: ChildProcessWithoutNullStreams; ended: Promise<Called> } {
    const programs = this.plan.programs.length > 1 || this.plan.busybox === true ? { PATH: '/bin' } : {};
    const variables = Object.entries({ ...programs, ...this.plan.env, ...env }).flatMap(([name, value]) => ['--setenv', name, value]);
    const child = spawn('nsenter', [
      ...[`--net=${this.network}`, 'bwrap', ...this.#mounts, ...USER, ...NAMESPACES, '--clearenv', ...variables, '--chdir', '/'],
      ...['/bin/bash', ...args],
    ]);
    child.stdin.on('error', () => undefined); // it may end without having read its stdin
    return { child, ended: collect(child, args) };
  }
}

/** The stub of a pod. @param kind over TLS: which one */
export function stubOf({ plan }: Pod, kind: CallOptions['stub'] = 'tls'): string {
  return `/stub/${plan.transport === 'tcp' ? 'plaintext' : kind}/mediator.sh`;
}

async function collect(child: ChildProcessWithoutNullStreams, args: string[]): Promise<Called> {
  const begin = performance.now();
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  await soon(`the end of ${args.join(' ')}`, once(child, 'close'), PATIENCE).catch((error: unknown) => {
    child.kill('SIGKILL'); // and with bubblewrap all that is in the pod
    throw error;
  });
  return { code: child.exitCode, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString(), time: performance.now() - begin };
}
