/** The spool: one folder a run, with its stdin, stdout and stderr as files. */
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { Failure } from '../../protocol/failures.ts';
import type { Stream } from '../../protocol/records.ts';
import { NOTHING, measure, measureFile, type Measured, type Totals } from '../keeper/digest.ts';
import { orderSizeAtMost } from '../keeper/order-file.ts';
import { SpoolFile, spoolFailure } from '../keeper/spool-file.ts';
import { readSpool } from './view.ts';

/** A stdin that is not longer stays in memory until the script has it. */
export const SMALL = 64 * 1024;

const INCOMING = 'incoming';
/** Of the usual file systems. */
const BLOCK = 4096;

/** The whole stdin of an invocation. */
export interface Stdin extends Measured, Content {}

/** Where it is. */
export interface Content {
  /** Bytes. */
  size: number;
  /** All of it, if it is small. */
  bytes: Buffer | undefined;
  /** Its file, unless it is empty. */
  file: string | undefined;
}

export class Spool {
  readonly #root: string;

  /** Removes uploads that an earlier process did not complete. */
  constructor(root: string) {
    this.#root = root;
    rmSync(path.join(root, INCOMING), { recursive: true, force: true });
    mkdirSync(path.join(root, INCOMING), { recursive: true, mode: 0o700 });
  }

  folder(run: string): string {
    return path.join(this.#root, run);
  }

  /** The place where an upload waits for the end of its request. */
  incoming(name: string): string {
    return path.join(this.#root, INCOMING, name);
  }

  /** Makes the run's folder and puts its stdin there. @throws Failure `spool-full` */
  admit(run: string, stdin: Stdin): Stdin {
    const file = path.join(this.folder(run), 'stdin');
    try {
      mkdirSync(this.folder(run), { mode: 0o700 });
      if (stdin.size === 0) return stdin;
      if (stdin.file !== undefined) renameSync(stdin.file, file);
      else if (stdin.bytes !== undefined) writeAll(file, stdin.bytes);
      return { ...stdin, file };
    } catch (error) {
      this.remove(run);
      throw spoolFailure(error);
    }
  }

  /** The stdin of a run that an earlier runner has admitted. */
  stored({ id, stdin: size }: { id: string; stdin: number }): Content {
    return { size, bytes: undefined, file: size === 0 ? undefined : path.join(this.folder(id), 'stdin') };
  }

  /** The stdin of an earlier run, for a rerun. */
  stdinOf(run: string, size: number): Stdin {
    const file = path.join(this.folder(run), 'stdin');
    if (size === 0) return { ...NOTHING, bytes: undefined, file: undefined };
    if (!existsSync(file)) throw new Failure('unknown-run', `the stdin of run ${run} is no longer in the spool; call the script anew`);
    return stdinFrom(readFileSync(file));
  }

  /** What is on disk of what a run printed. */
  async measure(run: string): Promise<Totals> {
    const of = (name: keyof Totals): Promise<Measured> => measureFile(path.join(this.folder(run), name));
    return { stdout: await of('stdout'), stderr: await of('stderr'), order: await of('order') };
  }

  remove(run: string): void {
    rmSync(this.folder(run), { recursive: true, force: true });
  }

  /** The same without holding up others. */
  discard(run: string): Promise<void> {
    return rm(this.folder(run), { recursive: true, force: true });
  }

  /** Bytes of uploads that wait for the end of their request. */
  incomingSize(): number {
    const folder = path.join(this.#root, INCOMING);
    return readdirSync(folder).reduce((sum, name) => sum + (statSync(path.join(folder, name), { throwIfNoEntry: false })?.size ?? 0), 0);
  }

  /** Ids of the runs that have a folder. */
  runs(): string[] {
    return readdirSync(this.#root).filter((name) => name !== INCOMING);
  }
}

/** A stdin that is in memory. */
export function stdinFrom(bytes: Buffer): Stdin {
  return { ...measure(bytes), bytes, file: undefined };
}

/** Up to `most` bytes from its beginning. */
export function beginningOf({ size, bytes, file }: Content, most: number): Buffer {
  if (bytes !== undefined) return bytes.subarray(0, most);
  return file === undefined ? Buffer.alloc(0) : readSpool(file, 0, Math.min(size, most));
}

function writeAll(file: string, bytes: Buffer): void {
  const target = new SpoolFile(file);
  try {
    target.append(bytes);
  } finally {
    target.close();
  }
}

/** What a run takes on the disk, in bytes: a folder, and files in whole blocks. */
export function diskSize(sizes: Record<Stream | 'stdin', number>): number {
  return [sizes.stdin, sizes.stdout, sizes.stderr, orderSizeAtMost(sizes)].reduce(
    (sum, size) => sum + Math.ceil(size / BLOCK) * BLOCK,
    BLOCK,
  );
}
