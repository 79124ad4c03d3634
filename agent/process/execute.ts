/** Where programs start by execa: a tool of the system, another part of the agent. Scripts are started in script.ts. */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { execa } from 'execa';
import { Failure } from '../../protocol/failures.ts';
import type { ProcessExit } from '../../protocol/outcomes.ts';

/** A small heap: every start of a script copies its page tables. */
const KEEPER_FLAGS = ['--max-semi-space-size=1', '--single-threaded'];
/** Milliseconds. */
const TOOL_PATIENCE = 30_000;

/** Runs a tool of the system to its end and returns its stdout. @throws Failure `internal` with what it printed on stderr */
export async function runTool(file: string, args: string[], input = ''): Promise<string> {
  const result = await execa(file, args, { reject: false, timeout: TOOL_PATIENCE, stripFinalNewline: false, input });
  if (result.exitCode === 0) return result.stdout;
  throw toolFailure(file, args, result);
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

/** Starts the keeper in this Node. It may outlive us: a session of its own, and nothing that would hold us. Resolves when it listens. @throws Failure `internal` */
export function startKeeper(file: string, args: string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...KEEPER_FLAGS, ...process.execArgv, file, ...args], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      detached: true,
    });
    const fail = (cause: unknown): void => reject(new Failure('internal', 'the keeper of the scripts did not start', { cause }));
    child.once('error', fail);
    child.once('exit', fail);
    child.once('message', () => {
      child.unref();
      child.channel?.unref();
      resolve();
    });
  });
}
