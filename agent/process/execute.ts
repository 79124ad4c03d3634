/**
 * Where processes start: a tool (execa), another part of the agent (execa), a script. A script is started by Node's own `spawn`: with
 * descriptors for its stdio there is nothing left for execa to do, and it costs 1 to 2.5 ms a start.
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { execa } from 'execa';
import { Failure } from '../../protocol/failures.ts';
import type { ProcessExit } from '../../protocol/outcomes.ts';

/** Milliseconds. */
const TOOL_PATIENCE = 30_000;

/** Runs a tool of the system to its end and returns its stdout. @throws Failure `internal` with what it printed on stderr */
export async function runTool(file: string, args: string[], input = ''): Promise<string> {
  const result = await execa(file, args, { reject: false, timeout: TOOL_PATIENCE, stripFinalNewline: false, input });
  if (result.exitCode === 0) return result.stdout;
  throw toolFailure(file, args, result);
}

/** Runs a tool that says a line and then waits for the end of its stdin; `take` is called in between. @throws Failure `internal` */
export async function askTool(file: string, args: string[], take: (pid: number, line: string) => void): Promise<void> {
  const child = execa(file, args, { reject: false, timeout: TOOL_PATIENCE, stdin: 'pipe' });
  try {
    for await (const line of child) {
      take(child.pid ?? 0, line);
      child.stdin.end();
    }
  } finally {
    child.stdin.end();
  }
  const result = await child;
  if (result.exitCode !== 0) throw toolFailure(file, args, result);
}

function toolFailure(file: string, args: string[], result: { code?: string | undefined; stderr: string }): Failure {
  const reason = result.code === 'ENOENT' ? `${file} is not installed` : result.stderr.trim().split('\n').at(-1);
  return new Failure('internal', `${file} ${args[0] ?? ''}: ${reason ?? 'failed'}`, { cause: result });
}

export interface Part {
  /** The line that the part sends once it is ready, or undefined if it ended before. */
  ready: Promise<string | undefined>;
  exit: Promise<ProcessExit>;
  reload: () => void;
  stop: () => void;
}

/** Starts another part of the agent in this Node, with our stdout and stderr. It hears of our end by the closing of its IPC channel. */
export function startPart(file: string, args: string[]): Part {
  // A group of its own: Ctrl-C in a terminal reaches us alone, and we stop the parts in their order.
  const child = execa(process.execPath, [...process.execArgv, file, ...args], {
    stdin: 'ignore',
    stdout: 'inherit',
    stderr: 'inherit',
    buffer: false,
    ipc: true,
    detached: true,
    forceKillAfterDelay: false, // a part that drains takes as long as agent.yaml allows
    reject: false,
  });
  const exit = child.then(({ exitCode, signal }) => ({
    code: exitCode ?? (signal === undefined ? 1 : null),
    signal: signal === undefined ? null : constants.signals[signal],
  }));
  const ready = new Promise<unknown>((resolve) => {
    child.nodeChildProcess.once('message', resolve);
    void exit.then(resolve);
  });
  return {
    ready: ready.then((message) => (typeof message === 'string' ? message : undefined)),
    exit,
    reload: () => void child.kill('SIGHUP'),
    stop: () => void child.kill('SIGTERM'),
  };
}

export interface Command {
  file: string;
  args: string[];
  cwd: string;
  env: Record<string, string>;
  /** Descriptors that become 0, 1 and 2. The caller closes its own. */
  stdio: [number, number, number];
}

export interface StartedProcess {
  /** Process id, group id and session id at once. */
  pid: number;
  /** Resolves when the process was reaped. */
  exit: Promise<ProcessExit>;
}

/** Starts a script in a session of its own. @throws Failure `cannot-start` or `argument-too-long` */
export async function startScript({ file, args, cwd, env, stdio }: Command): Promise<StartedProcess> {
  try {
    const child = spawn(file, args, { cwd, env, stdio, detached: true });
    const exit = new Promise<ProcessExit>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code, signal) => {
        resolve({ code, signal: signal === null ? null : constants.signals[signal] });
      });
    });
    if (child.pid !== undefined) return { pid: child.pid, exit };
    await exit;
    throw new Error('it exited before it started');
  } catch (error) {
    throw startFailure(file, error);
  }
}

function startFailure(file: string, error: unknown): Failure {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'E2BIG') {
    const message = 'all arguments and variables together are longer than Linux can pass; send the data on stdin';
    return new Failure('argument-too-long', message, { cause: error });
  }
  const reason = error instanceof Error ? error.message : String(error);
  return new Failure('cannot-start', `the system would not start ${file}: ${reason}`, { cause: error });
}
