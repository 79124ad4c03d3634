/** Commands as a user types them: a process, its output, its exit code. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { soon } from './wait.ts';

export const ROOT = path.resolve(import.meta.dirname, '../..');
export const MAIN = path.join(ROOT, 'agent/main.ts');

/** For every process of the agent that a test starts. The cache halves the time that one needs to come up. */
export const AGENT_ENV = { NODE_NO_WARNINGS: '1', NODE_COMPILE_CACHE: path.join(ROOT, 'node_modules/.cache/mediator-agent') };

export interface Result {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface CommandOptions {
  stdin?: string | Buffer;
  env?: Record<string, string>;
  cwd?: string;
}

/** Runs a program to its end. */
export async function runCommand(file: string, args: string[], { stdin = '', env = {}, cwd = ROOT }: CommandOptions = {}): Promise<Result> {
  const child = spawn(file, args, { cwd, env: { ...process.env, ...AGENT_ENV, ...env } });
  child.stdin.on('error', () => undefined); // it may end without having read its stdin
  child.stdin.end(stdin);
  const [stdout, stderr] = await soon(
    `the end of ${file} ${args.join(' ')}`,
    Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]),
    60_000,
  );
  return { code: child.exitCode, stdout, stderr };
}

/** `mediator-agent ARGS`. */
export function mediatorAgent(args: string[], options?: CommandOptions): Promise<Result> {
  return runCommand(process.execPath, [MAIN, ...args], options);
}
