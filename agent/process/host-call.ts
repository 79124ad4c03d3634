/** A program called as a host calls it: exact arguments and environment, and a stdin that ends or never does. */
import { execa } from 'execa';
import { Failure } from '../../protocol/failures.ts';

/** One call of a program as a host makes it. */
export interface HostCall {
  file: string;
  args: string[];
  cwd: string;
  /** The whole environment. */
  env: Record<string, string>;
  /** Undefined: stdin stays open, and nothing ever comes. */
  stdin: Buffer | undefined;
  /** Milliseconds, after which the program is ended. */
  patience: number;
}

export interface HostCalled {
  /** `too-long`: the system would not pass the arguments, and nothing was started. */
  ended: 'exited' | 'signaled' | 'timed-out' | 'too-long';
  code: number | undefined;
  stdout: Buffer;
  stderr: Buffer;
}

/** Plays a host: resolves with whatever became of the call. @throws Failure `internal` if the program is not there, or the call was aborted */
export async function callAsHost({ file, args, cwd, env, stdin, patience }: HostCall, signal: AbortSignal): Promise<HostCalled> {
  const result = await execa(file, args, {
    cwd,
    env,
    extendEnv: false,
    encoding: 'buffer',
    stripFinalNewline: false,
    reject: false,
    timeout: patience,
    cancelSignal: signal,
    ...(stdin === undefined ? { stdin: 'pipe' } : { input: stdin }),
  });
  const { exitCode: code, code: error } = result;
  const called = { code, stdout: Buffer.from(result.stdout), stderr: Buffer.from(result.stderr) };
  if (result.timedOut) return { ended: 'timed-out', ...called };
  if (error === 'E2BIG') return { ended: 'too-long', ...called };
  if (code !== undefined) return { ended: 'exited', ...called };
  if (result.signal !== undefined && !result.isCanceled) return { ended: 'signaled', ...called };
  throw new Failure('internal', `${file}: ${result.isCanceled ? 'interrupted' : String(result.shortMessage)}`, { cause: result });
}
