/** The stub as a host has it: a file in a folder of its own, called with bash, in a clean environment. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { buffer, text } from 'node:stream/consumers';
import type { TestAgent } from '../helpers/agent.ts';
import { ROOT } from '../helpers/command.ts';
import { soon } from '../helpers/wait.ts';

export interface Called {
  code: number | null;
  stdout: Buffer;
  stderr: string;
}

export interface HostCall {
  args?: string[];
  /** null: stdin never ends. */
  stdin?: string | Buffer | null;
  env?: Record<string, string>;
  /** Ends the stub with TERM. */
  signal?: AbortSignal;
}

export type HostStub = (call?: HostCall) => Promise<Called>;

/** What `mediator-agent stub` prints (without TLS: test/e2e has both), by the agent's folder and the options. */
const printed = new Map<string, Promise<string>>();

/** A stub for one script. Printing it takes half a second, so it is printed once for each set of options, and the script is filled in as `stub` does. */
async function makeStub(agent: TestAgent, script: string, options: string[]): Promise<string> {
  const key = [agent.urls.ws, agent.dir, ...options].join(' ');
  const text = printed.get(key) ?? printStub(agent, options);
  printed.set(key, text);
  const file = path.join(agent.dir, `${script.replaceAll('/', '-')}${options.join('')}.sh`);
  writeFileSync(file, (await text).replace("BAKED_SCRIPT=''", `BAKED_SCRIPT='${script}'`), { mode: 0o700 });
  return file;
}

async function printStub(agent: TestAgent, options: string[]): Promise<string> {
  const { code, stdout, stderr } = await agent.command(['stub'], ['--url', agent.urls.ws, ...options]);
  assert.equal(code, 0, stderr);
  return stdout;
}

export async function secureChange(agent: TestAgent, script: string): Promise<HostStub> {
  const file = await makeStub(agent, script, ['--host', 'securechange']);
  return (call) => callStub(file, call);
}

/** Called with a stdin that never ends, unless a test says otherwise. */
export async function checkPoint(agent: TestAgent, script: string, ...options: string[]): Promise<HostStub> {
  const file = await makeStub(agent, script, ['--host', 'checkpoint', ...options]);
  return (call) => callStub(file, { stdin: null, ...call });
}

export async function callStub(file: string, { args = [], stdin = '', env = {}, signal }: HostCall = {}): Promise<Called> {
  const child = spawn('bash', [file, ...args], { cwd: path.dirname(file), env: { PATH: process.env.PATH ?? '', ...env } });
  child.stdin.on('error', () => undefined); // it may end without having read its stdin
  if (stdin !== null) child.stdin.end(stdin);
  signal?.addEventListener('abort', () => child.kill('SIGTERM'));
  const [stdout, stderr] = await soon(
    'the end of the stub',
    Promise.all([buffer(child.stdout), text(child.stderr), once(child, 'exit')]),
    60_000,
  );
  child.stdin.destroy();
  return { code: child.exitCode, stdout, stderr };
}

/** Copies scripts of the field into the agent's folder, unchanged. */
export function install(agent: TestAgent, name: string, manifest?: string): void {
  cpSync(path.join(ROOT, 'test/fixtures/scripts', name), path.join(agent.scripts, name), { recursive: true });
  if (manifest !== undefined) writeFileSync(path.join(agent.scripts, `${name.replace(/\.\w+$/, '')}.yaml`), manifest, { mode: 0o644 });
}

export function payload(name: string): Buffer {
  return readFileSync(path.join(ROOT, 'test/fixtures/payloads', name));
}

/** What Check Point passes as the first argument. */
export function base64(value: unknown): string {
  return Buffer.from(value instanceof Buffer ? value : JSON.stringify(value)).toString('base64');
}

let serial = 0;

/** A ticket that is like no other: id and updateDate are new. */
export function ticket(fields: { id?: number; updated?: number; stage?: number; name?: string } = {}): string {
  serial += 1;
  const { id = 1000 + serial, updated = 1_704_707_299_000 + serial, stage = 253, name = 'Business approval' } = fields;
  return (
    `<ticket_info><id>${id}</id><subject>Open 443 &amp; more (Zürich)</subject><createDate>1704707276656</createDate><updateDate>${updated}</updateDate>` +
    `<requester><id>4</id><login>jdoe</login></requester><current_stage><id>${stage}</id><name>${name}</name></current_stage>` +
    '<comment xsi:type="ticket_comment"><id>9</id></comment></ticket_info>'
  );
}

/** Two calls got the very same. A difference is told by sizes: to compare long output character by character takes minutes. */
export function assertSame(one: Called, other: Called): void {
  const about = ({ code, stdout, stderr }: Called): object => ({ code, bytes: stdout.length, stderr });
  assert.deepEqual(about(other), about(one));
  assert.ok(other.stdout.equals(one.stdout));
}

/** `stderr` is nothing, unless a test says otherwise. */
export function assertAnswered(
  { code, stdout, stderr }: Called,
  expected: { code?: number; stdout?: string; stderr?: string | RegExp },
): void {
  const { stderr: words = '' } = expected;
  const shown = (text: string): string => (text.length > 2000 ? `${text.slice(0, 200)}… ${text.length} characters` : text);
  const printed = stdout.toString();
  assert.deepEqual({ code, stdout: shown(printed) }, { code: expected.code ?? 0, stdout: shown(expected.stdout ?? '') }, stderr);
  assert.ok(printed === (expected.stdout ?? ''));
  if (typeof words === 'string') assert.equal(stderr, words);
  else assert.match(stderr, words);
}
