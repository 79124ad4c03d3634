/**
 * Brings what was committed to the disk, off the event loop. SQLite commits without waiting for the disk (WAL, synchronous = NORMAL); we wait for
 * it where something is promised. All who ask while the disk is busy share the next call of fdatasync(2).
 */
import { close, fdatasync, fsyncSync, openSync, closeSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';

const synchronize = promisify(fdatasync);

export class Flusher {
  readonly #file: string;
  #fd: number | undefined;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #closed = false;

  /** @param file the write-ahead log. SQLite keeps it from its first read to its close, and holds no locks on it that our close would release */
  constructor(file: string) {
    this.#file = file;
  }

  /** Resolves when everything that is committed by now would survive a power cut. @throws a system error */
  flush(): Promise<void> {
    if (this.#next !== undefined) return this.#next;
    const before = this.#running?.catch(() => undefined) ?? Promise.resolve();
    this.#next = before.then(() => {
      this.#running = this.#next;
      this.#next = undefined;
      return this.#closed ? undefined : synchronize((this.#fd ??= openWithFolder(this.#file)));
    });
    return this.#next;
  }

  /** SQLite has brought everything to the disk itself when it closes. */
  close(): void {
    this.#closed = true;
    const fd = this.#fd;
    if (fd === undefined) return;
    void Promise.allSettled([this.#running, this.#next]).then(() => {
      close(fd);
    });
  }
}

/** The name of a file that is new is in its folder. */
function openWithFolder(file: string): number {
  const folder = openSync(path.dirname(file), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
  return openSync(file, 'r');
}
