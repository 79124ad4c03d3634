/** A file of the spool while it is written. */
import { createHash } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import { Failure } from '../../protocol/failures.ts';
import type { Measured } from './digest.ts';

const MODE = 0o600;

/** A file that only grows. It comes into being with its first byte. */
export class SpoolFile {
  readonly file: string;
  readonly #digest = createHash('sha256');
  #fd: number | undefined;
  #length = 0;

  constructor(file: string) {
    this.file = file;
  }

  get length(): number {
    return this.#length;
  }

  /** What was written so far. */
  get measured(): Measured {
    return { size: this.#length, sha256: this.#digest.copy().digest('hex') };
  }

  /** @throws Failure `spool-full` */
  append(chunk: Buffer): void {
    try {
      this.#fd ??= openSync(this.file, 'wx', MODE);
      for (let written = 0; written < chunk.length;) {
        const count = writeSync(this.#fd, chunk, written);
        this.#digest.update(chunk.subarray(written, written + count));
        written += count;
        this.#length += count;
      }
    } catch (error) {
      throw spoolFailure(error);
    }
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}

/** A full disk is `spool-full`, whoever noticed it. */
export function spoolFailure(error: unknown): Failure {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new Failure('spool-full', 'the disk of the agent is full; free space below its state folder', { cause: error });
  }
  return Failure.from(error);
}
