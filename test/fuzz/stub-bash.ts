/** The functions of the stub in one bash that lives on: a case costs a fork, and no start. */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { z } from 'zod';
import { soon } from '../helpers/wait.ts';

export interface Ended {
  code: number;
  stdout: Buffer;
  stderr: Buffer;
}

/** No case waits for anything. Milliseconds. */
const PATIENCE = 20_000;

export class StubBash {
  readonly #folder: string;
  readonly #bash: ChildProcessWithoutNullStreams;
  readonly #codes: Interface;
  #said = '';

  /** @param folder empty: whatever a case leaves there was carried out, and should not have been */
  constructor(folder: string, env: Record<string, string> = {}) {
    this.#folder = folder;
    this.#bash = spawn('bash', [path.join(import.meta.dirname, 'stub.bash')], {
      cwd: folder,
      env: { PATH: process.env.PATH, TMPDIR: folder, ...env },
    });
    this.#codes = createInterface(this.#bash.stdout);
    this.#bash.stderr.setEncoding('utf8').on('data', (text: string) => (this.#said += text));
    this.#bash.stdin.on('error', () => undefined); // it ended, which the next case finds
  }

  async run(kind: string, bytes: Buffer, ...words: (string | number)[]): Promise<Ended> {
    const file = path.join(this.#folder, 'case');
    writeFileSync(file, bytes);
    this.#bash.stdin.write([kind, file, ...words].join(' ') + '\n');
    const [code] = z.tuple([z.string()]).parse(await soon('the end of a case', once(this.#codes, 'line'), PATIENCE));
    const left = readdirSync(this.#folder).filter((name) => !['case', 'case.out', 'case.err'].includes(name));
    if (left.length > 0) throw new Error(`the case was carried out: it made ${left.join()}`);
    if (this.#said !== '') throw new Error(`bash said: ${this.#said}`);
    return { code: Number(code), stdout: readFileSync(`${file}.out`), stderr: readFileSync(`${file}.err`) };
  }

  async close(): Promise<void> {
    if (this.#bash.exitCode !== null) return;
    this.#bash.stdin.end();
    await soon('the end of bash', once(this.#bash, 'exit'));
  }
}
