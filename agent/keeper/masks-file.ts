/**
 * `masks` in a run's folder: where its secrets stand in its output, found when it was printed. So they are masked also when they have been changed
 * since. A run without secrets has no such file. Numbers are doubles: how far each stream is safe to show, then three for each span.
 */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import type { Stream } from '../../protocol/records.ts';
import { Scanner, type Span } from './masking.ts';
import { spoolFailure } from './spool-file.ts';

const NAME = 'masks';
const STREAMS = ['stdout', 'stderr'] as const;
const HEAD = 16;
const RECORD = 24;
/** Spans of a stream; 384 KiB. Beyond it, all that follows is masked. */
const MOST = 16_384;

export class MasksFile {
  readonly #file: string;
  readonly #scanners: Record<Stream, Scanner>;
  readonly #safe: Record<Stream, number> = { stdout: 0, stderr: 0 };
  #fd: number | undefined;
  readonly #counts: Record<Stream, number> = { stdout: 0, stderr: 0 };

  constructor(folder: string, patterns: readonly Buffer[]) {
    this.#file = path.join(folder, NAME);
    this.#scanners = { stdout: new Scanner(patterns), stderr: new Scanner(patterns) };
  }

  /** To be called before the first output is in the spool: from here on nothing is shown that was not scanned. @throws Failure `spool-full` */
  open(): void {
    if (this.#fd !== undefined) return;
    try {
      this.#fd = openSync(this.#file, 'wx', 0o600);
      this.#writeHead(this.#fd);
    } catch (error) {
      throw spoolFailure(error);
    }
  }

  /** The spans first: what is safe has all of them. @throws Failure `spool-full` */
  note(stream: Stream, piece: Buffer): void {
    if (this.#fd === undefined) return;
    const scanner = this.#scanners[stream];
    const spans = scanner.scan(piece);
    try {
      for (const [from, to] of spans) {
        if (this.#counts[stream] > MOST) break;
        const end = this.#counts[stream] === MOST ? Number.MAX_SAFE_INTEGER : to;
        const place = HEAD + RECORD * (this.#counts.stdout + this.#counts.stderr);
        writeSync(this.#fd, doubles([STREAMS.indexOf(stream), from, end]), 0, RECORD, place);
        this.#counts[stream] += 1;
      }
      this.#safe[stream] = scanner.safe;
      this.#writeHead(this.#fd);
    } catch (error) {
      throw spoolFailure(error);
    }
  }

  /** Nothing follows: what looked like the beginning of a secret was none. */
  close(lengths: Record<Stream, number>): void {
    if (this.#fd === undefined) return;
    try {
      Object.assign(this.#safe, lengths);
      this.#writeHead(this.#fd);
    } catch {
      // the end stays masked
    }
    closeSync(this.#fd);
    this.#fd = undefined;
  }

  #writeHead(fd: number): void {
    writeSync(fd, doubles([this.#safe.stdout, this.#safe.stderr]), 0, HEAD, 0);
  }
}

export interface Masks {
  /** What comes behind is not shown. */
  safe: Record<Stream, number>;
  spans: Record<Stream, Span[]>;
}

/** Undefined if the run has no secrets. @throws a system error if it has some, and where they stand cannot be read */
export function readMasks(folder: string): Masks | undefined {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path.join(folder, NAME));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
  const masks: Masks = { safe: { stdout: 0, stderr: 0 }, spans: { stdout: [], stderr: [] } };
  if (bytes.length < HEAD) return masks;
  masks.safe = { stdout: bytes.readDoubleLE(0), stderr: bytes.readDoubleLE(8) };
  for (let at = HEAD; at + RECORD <= bytes.length; at += RECORD) {
    const stream = STREAMS[bytes.readDoubleLE(at)];
    if (stream !== undefined) masks.spans[stream].push([bytes.readDoubleLE(at + 8), bytes.readDoubleLE(at + 16)]);
  }
  return masks;
}

function doubles(numbers: number[]): Buffer {
  const bytes = Buffer.alloc(numbers.length * 8);
  numbers.forEach((number, index) => bytes.writeDoubleLE(number, index * 8));
  return bytes;
}
