/** A real agent in a folder of its own: made by `init`, started by `serve`, on ports that the system chose. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { parse, stringify } from 'yaml';
import { z } from 'zod';
import { AGENT_ENV, MAIN, mediatorAgent, type CommandOptions, type Result } from './command.ts';
import { newFolder } from './folder.ts';
import { commandOf, isAlive, processesNaming } from './processes.ts';
import { soon, until } from './wait.ts';

const Keys = z.object({ keys: z.array(z.object({ id: z.string(), secret: z.string() })).min(1) });
const Settings = z.record(z.string(), z.unknown());
const LogLine = z.looseObject({ msg: z.string(), part: z.string() });

/** A run in listings; the fields that tests look at. */
export const RunRow = z.looseObject({
  id: z.string(),
  script: z.string(),
  ticket: z.string(),
  key: z.string(),
  outcome: z.string().nullable(),
  code: z.number().nullable(),
  started: z.string().nullable(),
  stdout: z.number(),
  stderr: z.number(),
  message: z.string(),
});
export type RunRow = z.output<typeof RunRow>;

export interface AgentKey {
  id: string;
  secret: string;
}

export interface AgentOptions {
  /** Fields of agent.yaml that replace those of `init`. */
  settings?: Record<string, unknown>;
  /** Keys beside the one that `init` makes. */
  keys?: (AgentKey & { scripts: string[] })[];
  /** Keep the examples in the scripts folder; otherwise it is empty. */
  examples?: boolean;
  /** For the process of the agent. */
  env?: Record<string, string>;
  /** A command that executes its arguments: `serve` is started through it. */
  through?: string[];
  /** What Node executes: the sources, if not the agent of an archive. */
  program?: string;
}

/** A folder made by `init`, changed for tests: ports are chosen by the system, a changed script runs at once. */
export async function prepareAgent({
  settings = {},
  keys = [],
  examples = false,
  env = {},
  through = [],
  program = MAIN,
}: AgentOptions = {}): Promise<TestAgent> {
  installation ??= install();
  const dir = path.join(newFolder(), 'agent');
  cpSync(await installation, dir, { recursive: true, preserveTimestamps: true });
  const agent = new TestAgent(dir, env, through, program);
  if (!examples) for (const name of readdirSync(agent.scripts)) rmSync(path.join(agent.scripts, name), { recursive: true });
  agent.configure({ settle: '0ms', ...settings });
  if (keys.length > 0) {
    const given: unknown = parse(readFileSync(path.join(dir, 'keys.yaml'), 'utf8'));
    writeFileSync(
      path.join(dir, 'keys.yaml'),
      stringify({ keys: [...z.object({ keys: z.array(z.unknown()) }).parse(given).keys, ...keys] }),
    );
  }
  return agent;
}

/** What `init` makes; every agent of a test process is a copy of it. */
let installation: Promise<string> | undefined;

async function install(): Promise<string> {
  const folder = newFolder();
  process.once('exit', () => {
    rmSync(folder, { recursive: true, force: true });
  });
  const dir = path.join(folder, 'agent');
  const made = await mediatorAgent([
    ...['init', '--dir', dir, '--listen', '127.0.0.1:0', '--plaintext', '127.0.0.1:0', '--admin', '127.0.0.1:0'],
    ...['--name', 'localhost', '--name', '127.0.0.1'],
  ]);
  assert.equal(made.code, 0, made.stderr);
  return dir;
}

/** A running agent. Give it to `after(() => agent.close())`. */
export async function startAgent(options: AgentOptions = {}): Promise<TestAgent> {
  const agent = await prepareAgent(options);
  try {
    await agent.start();
  } catch (error) {
    agent.remove();
    throw error;
  }
  return agent;
}

export class TestAgent {
  readonly dir: string;
  /** agent.yaml */
  readonly config: string;
  readonly scripts: string;
  readonly state: string;
  /** The runner's socket. */
  readonly socket: string;
  /** The key that `init` made. It may call every script. */
  readonly key: AgentKey;
  /** PEM. */
  readonly certificate: string;
  readonly #env: Record<string, string>;
  readonly #through: string[];
  readonly program: string;
  #process: ChildProcess | undefined;
  #stdout = '';
  #stdoutEnd: Promise<unknown> = Promise.resolve();
  #stderrEnd: Promise<unknown> = Promise.resolve();
  #stderr = '';
  /** Where it listens; empty while it does not. */
  urls: { wss: string; ws: string; http: string } = { wss: '', ws: '', http: '' };

  constructor(dir: string, env: Record<string, string> = {}, through: string[] = [], program = MAIN) {
    this.dir = dir;
    this.#env = env;
    this.#through = through;
    this.program = program;
    this.config = path.join(dir, 'agent.yaml');
    this.scripts = path.join(dir, 'scripts');
    this.state = path.join(dir, 'state');
    this.socket = path.join(this.state, 'runner.sock');
    const [key] = Keys.parse(parse(readFileSync(path.join(dir, 'keys.yaml'), 'utf8'))).keys;
    assert.ok(key);
    this.key = key;
    this.certificate = readFileSync(path.join(dir, 'tls/cert.pem'), 'utf8');
  }

  /** Process id of `serve`. */
  get pid(): number {
    const pid = this.#process?.pid;
    assert.ok(pid !== undefined, 'the agent was not started');
    return pid;
  }

  get running(): boolean {
    return this.#process !== undefined;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** Replaces fields of agent.yaml. */
  configure(settings: Record<string, unknown>): void {
    const given = Settings.parse(parse(readFileSync(this.config, 'utf8')));
    writeFileSync(this.config, stringify({ ...given, ...settings }), { mode: 0o600 });
  }

  /** Writes a script, executable unless `mode` says otherwise, and its manifest, in YAML. */
  script(name: string, source: string | Buffer, { mode = 0o755, manifest }: { mode?: number; manifest?: string } = {}): string {
    const file = path.join(this.scripts, name);
    mkdirSync(path.dirname(file), { recursive: true, mode: 0o755 });
    writeFileSync(file, source);
    chmodSync(file, mode);
    if (manifest !== undefined) {
      const target = file.slice(0, file.length - path.extname(file).length) + '.yaml';
      writeFileSync(target, manifest);
      chmodSync(target, 0o644);
    }
    return file;
  }

  /** Starts `serve` and waits until it is ready. */
  async start(): Promise<void> {
    const child = this.launch();
    const ready = await soon(
      'the agent says that it is ready',
      Promise.race([until('ready', () => /^ready (.*)$/m.exec(this.#stderr)?.[1]), once(child, 'close').then(() => undefined)]),
    );
    assert.ok(ready !== undefined, `the agent ended before it was ready:\n${this.#stderr}`);
    const urls = ready.split(' ');
    const of = (scheme: string): string => urls.find((url) => url.startsWith(`${scheme}:`)) ?? '';
    this.urls = { wss: of('wss'), ws: of('ws'), http: of('http') };
  }

  /** Starts `serve` and waits for nothing. */
  launch(): ChildProcess {
    assert.ok(this.#process === undefined, 'the agent was started already');
    const [file, ...args] = [...this.#through, process.execPath, this.program, 'serve', '--config', this.config];
    const child = spawn(file, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...AGENT_ENV, ...this.#env },
    });
    this.#stderr = '';
    this.#stdout = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (this.#stdout += chunk));
    this.#stdoutEnd = once(child.stdout, 'close');
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (this.#stderr += chunk));
    this.#stderrEnd = once(child.stderr, 'close');
    this.#process = child;
    return child;
  }

  /** Sends a signal to `serve`, waits for its end, and returns its exit code (null if the signal ended it). */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    const child = this.#process;
    assert.ok(child, 'the agent was not started');
    child.kill(signal);
    return this.ended();
  }

  /** Waits for the end of `serve` and of its parts, and for all that they have said on stderr. */
  async ended(): Promise<number | null> {
    const child = this.#process;
    assert.ok(child, 'the agent was not started');
    if (child.exitCode === null && child.signalCode === null) await soon('the end of the agent', once(child, 'exit'), 60_000);
    await until('the end of the parts of the agent', () => this.#parts().length === 0);
    await soon('the end of stderr', this.#stderrEnd);
    this.#process = undefined;
    return child.exitCode;
  }

  /** Whoever reads the log goes away. */
  closeLog(): void {
    this.#process?.stdout?.destroy();
  }

  /** The lines of the log, once the agent has ended. */
  async log(): Promise<z.output<typeof LogLine>[]> {
    await this.#stdoutEnd;
    return this.logSoFar();
  }

  /** The whole lines of the log that have come. */
  logSoFar(): z.output<typeof LogLine>[] {
    return this.#stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => LogLine.parse(JSON.parse(line)));
  }

  /** Asks the agent to read its configuration once more, and waits until each of the parts has said how that went. */
  async reload(): Promise<string[]> {
    const said = (): string[] =>
      this.logSoFar().flatMap(({ msg, reason }) => (msg.startsWith('reload') ? [typeof reason === 'string' ? reason : msg] : []));
    const before = said().length;
    process.kill(this.pid, 'SIGHUP');
    await until('both parts have reloaded', () => said().length === before + 2);
    return said().slice(before);
  }

  /** Stops the agent, if it runs, and removes its folder. Fails if it left a process or a piece of an upload behind. */
  async close(): Promise<void> {
    try {
      if (this.#process !== undefined) assert.equal(await this.stop(), 0, this.#stderr);
      this.assertNothingLeft();
    } finally {
      this.remove();
    }
  }

  /** No process that knows the agent's folder, no part of an upload, no socket. */
  assertNothingLeft(): void {
    assert.deepEqual(processesNaming(this.dir).map(commandOf), [], 'processes were left running');
    assert.deepEqual(this.incoming(), [], 'uploads were left in the spool');
    assert.ok(!existsSync(this.socket), 'the socket was left');
  }

  /** Uploads that are not complete. */
  incoming(): string[] {
    const folder = path.join(this.state, 'spool/incoming');
    return existsSync(folder) ? readdirSync(folder) : [];
  }

  /** Ids of the runs that have a folder in the spool. */
  spooled(): string[] {
    return readdirSync(path.join(this.state, 'spool')).filter((name) => name !== 'incoming');
  }

  /** A file of a run in the spool. */
  spoolFile(run: string, name: string): string {
    return path.join(this.state, 'spool', run, name);
  }

  /** Ends what is left, by its id, and removes the folder. */
  remove(): void {
    for (const pid of processesNaming(this.dir)) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // gone in the meantime
      }
    }
    rmSync(path.dirname(this.dir), { recursive: true, force: true, maxRetries: 5 });
  }

  /** The process id of a part. */
  part(name: 'front' | 'runner' | 'keeper'): number | undefined {
    return this.#parts().find((pid) => commandOf(pid).includes(` ${name} --config ${this.config}`) && isAlive(pid));
  }

  /** One request to the runner's API. */
  async api(path: string, method = 'GET'): Promise<{ status: number; body: unknown }> {
    const call = request({ socketPath: this.socket, path, method, agent: false, headers: { connection: 'close' } });
    call.end();
    const [response] = z.tuple([z.custom<NodeJS.ReadableStream & { statusCode: number }>()]).parse(await once(call, 'response'));
    const body: unknown = JSON.parse(await text(response));
    return { status: response.statusCode, body };
  }

  /** The runs in the journal, newest first. */
  async runs(query = ''): Promise<RunRow[]> {
    const { body } = await this.api(`/v1/runs?${query}`);
    return z.object({ runs: z.array(RunRow) }).parse(body).runs;
  }

  /** One run of the journal. */
  async run(id: string): Promise<RunRow> {
    return RunRow.parse((await this.api(`/v1/runs/${id}`)).body);
  }

  /** `mediator-agent COMMAND... --config agent.yaml ARGS...` */
  command(command: string[], args: string[] = [], options: CommandOptions = {}): Promise<Result> {
    return mediatorAgent([...command, '--config', this.config, ...args], options);
  }

  #parts(): number[] {
    return processesNaming(this.config).filter((pid) => commandOf(pid).includes(this.program) && isAlive(pid));
  }
}
