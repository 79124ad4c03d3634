/**
 * Where scripts start: by Node's own `spawn`. With descriptors for its stdio there is nothing left for execa to do, and it costs 1 to 2.5 ms a
 * start and 10 MB of memory, which every fork has to copy the page tables of.
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { Failure } from '../../protocol/failures.ts';
import type { ProcessExit } from '../../protocol/outcomes.ts';

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
