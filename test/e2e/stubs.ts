/** Real stubs: printed by `mediator-agent stub` for a running agent, called in bash with an environment of their own. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { TestAgent } from '../helpers/agent.ts';
import { soon, until } from '../helpers/wait.ts';

/** A pod with bash, coreutils and openssl. */
export const FULL_PATH = '/usr/local/bin:/usr/bin:/bin';

export interface StubOptions {
  /** Where it calls; `wss` and `ws` are the agent's own addresses. */
  url?: string;
  /** The name of its file. */
  name?: string;
  /** Further options of `mediator-agent stub`. */
  options?: string[];
}

export interface CallOptions {
  /** null: left open, to be written to. */
  stdin?: string | Buffer | null;
  env?: Record<string, string>;
  cwd?: string;
  /** The stub's PATH. */
  path?: string;
}

export interface Called {
  code: number | null;
  stdout: Buffer;
  stderr: string;
  /** stderr before it was decoded. */
  stderrBytes: Buffer;
}

/** Prints a stub into a folder of the agent. */
export async function makeStub(agent: TestAgent, { url = 'wss', name = 'mediator.sh', options = [] }: StubOptions = {}): Promise<Stub> {
  const address = url === 'wss' || url === 'ws' ? agent.urls[url] : url;
  const made = await agent.command(['stub'], ['--url', address, ...options]);
  assert.equal(made.code, 0, made.stderr);
  const file = path.join(agent.dir, 'stubs', name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, made.stdout, { mode: 0o755 });
  return new Stub(file, agent.dir);
}

/** One for each way to the agent: TLS by openssl, and plaintext by bash alone. */
export async function makeStubs(agent: TestAgent): Promise<{ wss: Stub; ws: Stub }> {
  return {
    wss: await makeStub(agent, { url: 'wss', name: 'tls/mediator.sh' }),
    ws: await makeStub(agent, { url: 'ws', name: 'plaintext/mediator.sh' }),
  };
}

/** A PATH in which only these programs are. */
export function pathWith(agent: TestAgent, ...programs: string[]): string {
  const folder = path.join(agent.dir, ['path', ...programs].join('-'));
  if (existsSync(folder)) return folder;
  mkdirSync(folder);
  for (const program of programs) symlinkSync(path.join('/usr/bin', program), path.join(folder, program));
  return folder;
}

export class Stub {
  readonly file: string;
  readonly #home: string;

  /** @param home names the agent's folder, so that a process of the stub which outlives it is found */
  constructor(file: string, home: string) {
    this.file = file;
    this.#home = home;
  }

  /** The same stub in another file. */
  at(file: string): Stub {
    return new Stub(file, this.#home);
  }

  /** A copy beside it, under another name. */
  copy(name: string): Stub {
    const file = path.join(path.dirname(this.file), name);
    copyFileSync(this.file, file);
    return this.at(file);
  }

  /** Calls it, to its end. */
  async call(args: string[] = [], options: CallOptions = {}): Promise<Called> {
    return this.start(args, options).end();
  }

  /** Calls it, and leaves it running. */
  start(args: string[] = [], { stdin = '', env = {}, cwd = '/', path: programs = FULL_PATH }: CallOptions = {}): StubProcess {
    return new StubProcess('/bin/bash', [this.file, ...args], { PATH: programs, HOME: this.#home, ...env }, cwd, stdin);
  }

  /** Runs a line of bash in which `$stub` is its file, to its end: with the pipes and redirections that a shell makes. */
  async shell(line: string, options: CallOptions = {}): Promise<Called> {
    return this.startShell(line, options).end();
  }

  startShell(line: string, { stdin = '', env = {}, cwd = '/', path: programs = FULL_PATH }: CallOptions = {}): StubProcess {
    const all = { PATH: programs, HOME: this.#home, stub: this.file, ...env };
    return new StubProcess('/bin/bash', ['-c', line], all, cwd, stdin);
  }
}

export class StubProcess {
  readonly #child: ChildProcess;
  readonly #stdout: Buffer[] = [];
  readonly #stderr: Buffer[] = [];
  readonly #closed: Promise<unknown>;

  constructor(file: string, args: string[], env: Record<string, string>, cwd: string, stdin: string | Buffer | null) {
    const stdio: StdioOptions = ['pipe', 'pipe', 'pipe'];
    this.#child = spawn(file, args, { env, cwd, stdio });
    this.#closed = once(this.#child, 'close');
    this.#child.stdout?.on('data', (chunk: Buffer) => this.#stdout.push(chunk));
    this.#child.stderr?.on('data', (chunk: Buffer) => this.#stderr.push(chunk));
    this.#child.stdin?.on('error', () => undefined); // it may end without having read its stdin
    if (stdin !== null) this.#child.stdin?.end(stdin);
  }

  get pid(): number {
    assert.ok(this.#child.pid !== undefined, 'bash could not be started');
    return this.#child.pid;
  }

  get stdout(): Buffer {
    return Buffer.concat(this.#stdout);
  }

  get stderr(): string {
    return Buffer.concat(this.#stderr).toString();
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** More of a stdin that was left open. */
  write(data: string | Buffer): void {
    this.#child.stdin?.write(data);
  }

  endStdin(): void {
    this.#child.stdin?.end();
  }

  /** Nobody reads its stdout any more. */
  closeStdout(): void {
    this.#child.stdout?.destroy();
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Waits until it has printed a text on stdout, while it still runs. */
  async printed(text: string): Promise<void> {
    await until(`the stub prints "${text}"`, () => {
      if (this.stdout.includes(text)) return true;
      assert.ok(this.running, `the stub ended with ${this.#child.exitCode ?? 'a signal'} before it printed "${text}":\n${this.stderr}`);
      return false;
    });
  }

  async end(): Promise<Called> {
    await soon('the end of the stub', this.#closed, 60_000).catch((error: unknown) => {
      this.#child.kill('SIGKILL');
      throw error;
    });
    return { code: this.#child.exitCode, stdout: this.stdout, stderr: this.stderr, stderrBytes: Buffer.concat(this.#stderr) };
  }
}

/** The stub said one line to the operator, and nothing to the host. */
export function assertRefused({ code, stdout, stderr }: Called, expected: number): void {
  assert.match(stderr, /^mediator: [^\n]+\n$/);
  assert.equal(code, expected, stderr);
  assert.equal(stdout.toString(), '');
}

/** The script ran and printed this, and the stub added nothing. */
export function assertCalled(called: Called, expected: { code?: number; stdout?: string | Buffer; stderr?: string | Buffer }): void {
  assertSame('stderr', called.stderrBytes, Buffer.from(expected.stderr ?? ''));
  assertSame('stdout', called.stdout, Buffer.from(expected.stdout ?? ''));
  assert.equal(called.code, expected.code ?? 0);
}

/** Says little about large differences: deepEqual takes minutes to explain them. */
function assertSame(stream: string, got: Buffer, wanted: Buffer): void {
  if (got.equals(wanted)) return;
  const at = got.findIndex((byte, index) => byte !== wanted[index]);
  const part = (data: Buffer): string => JSON.stringify(data.subarray(Math.max(0, at - 20), at + 200).toString('latin1'));
  assert.fail(
    `${stream}: ${got.length} bytes came, ${wanted.length} were printed; they differ from byte ${at} on:\n${part(got)}\n${part(wanted)}`,
  );
}
