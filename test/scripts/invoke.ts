/** Starts an example as the agent does: by its shebang, with pipes and an environment of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import type { TestContext } from 'node:test';

const ROOT = path.resolve(import.meta.dirname, '../..');
export const SCRIPTS = path.join(ROOT, 'scripts');
const PAYLOADS = path.join(ROOT, 'test/fixtures/payloads');

interface Invocation {
  args?: string[];
  stdin?: string | Buffer;
  env?: Record<string, string>;
  cwd?: string;
}

interface Result {
  code: number | null;
  stdout: string;
  stderr: string;
}

export async function invoke(script: string, { args = [], stdin = '', env = {}, cwd = SCRIPTS }: Invocation = {}): Promise<Result> {
  const child = spawn(path.join(SCRIPTS, script), args, { cwd, env: { ...baseEnvironment(), ...env } });
  child.stdin.on('error', () => undefined); // a script may end without having read its stdin
  child.stdin.end(stdin);
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { code: child.exitCode, stdout, stderr };
}

/** HOME, because the `python3` of some machines is a shim that looks there. */
function baseEnvironment(): Record<string, string> {
  return { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '/', LANG: 'C' };
}

/** The bytes of a file in test/fixtures/payloads. */
export function payload(name: string): Buffer {
  return readFileSync(path.join(PAYLOADS, name));
}

/** What Check Point passes as the first argument. */
export function base64(value: unknown): string {
  return Buffer.from(value instanceof Buffer ? value : JSON.stringify(value)).toString('base64');
}

/** A folder that is removed after the test. */
export function temporaryFolder(context: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'scripts-test-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
