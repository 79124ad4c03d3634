/**
 * `order` in a run's folder: in which order it printed to stdout and to stderr, as the keeper read them. A record for each stretch of one stream, with
 * its length in bytes, written before the first byte of the other one is in the spool; so what no record names is the end, of one stream. A run
 * that printed to one stream alone has no such file. Long because who writes the records, who reads them and who checks them have to agree.
 */
import { createHash, type Hash } from 'node:crypto';
import { closeSync, existsSync, openSync, readSync, writeSync } from 'node:fs';
import path from 'node:path';
import type { Stream } from '../../protocol/records.ts';
import { NOTHING, type Measured } from './digest.ts';

const NAME = 'order';
const STREAMS = ['stdout', 'stderr'] as const;
/** A number: twice the length, and one more for stderr. */
const RECORD = 4;
const LONGEST = 2 ** 31 - 1;
/** Records that every run may have; one block. */
const FREE = 1024;
/** Beyond them, a record for so many bytes of output. What switches more often is recorded together, stdout first. */
const BYTES_PER_RECORD = 32;

type Lengths = Record<Stream, number>;

export class OrderFile {
  readonly #file: string;
  #fd: number | undefined;
  #current: Stream | undefined;
  /** Bytes that no record names. */
  #unnamed: Lengths = { stdout: 0, stderr: 0 };
  #printed = 0;
  #records = 0;
  #broken = false;
  /** From the first record on: most runs have none. */
  #digest: Hash | undefined;
  #size = 0;

  constructor(folder: string) {
    this.#file = path.join(folder, NAME);
  }

  /** To be called before so many bytes are in the spool. Never throws: a run is worth more than its order. */
  note(stream: Stream, length: number): void {
    if (length === 0) return;
    if (this.#current !== undefined && this.#current !== stream) this.#record();
    this.#current = stream;
    this.#unnamed[stream] += length;
    this.#printed += length;
  }

  /** What is in the file. */
  get measured(): Measured {
    return this.#digest === undefined ? NOTHING : { size: this.#size, sha256: this.#digest.copy().digest('hex') };
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  #record(): void {
    const records = STREAMS.flatMap((stream) => recordsOf(stream, this.#unnamed[stream]));
    if (this.#broken || this.#records + records.length > FREE + Math.floor(this.#printed / BYTES_PER_RECORD)) return;
    try {
      this.#fd ??= openSync(this.#file, 'wx', 0o600);
      const bytes = Buffer.from(Uint32Array.from(records).buffer);
      const written = writeSync(this.#fd, bytes);
      this.#digest ??= createHash('sha256');
      this.#digest.update(bytes.subarray(0, written));
      this.#size += written;
      this.#broken = written < bytes.length;
    } catch {
      this.#broken = true; // half a record may be there: nothing can follow it
    }
    this.#records += records.length;
    this.#unnamed = { stdout: 0, stderr: 0 };
  }
}

function recordsOf(stream: Stream, length: number): number[] {
  const whole = Array.from({ length: Math.floor(length / LONGEST) }, () => LONGEST);
  return [...whole, length % LONGEST].filter((part) => part > 0).map((part) => part * 2 + STREAMS.indexOf(stream));
}

/** Bytes that the file has at most; none of a run that printed to one stream alone. */
export function orderSizeAtMost({ stdout, stderr }: Lengths): number {
  const records = 2 * Math.min(stdout, stderr) + Math.floor(Math.max(stdout, stderr) / LONGEST);
  return Math.min(stdout, stderr) === 0 ? 0 : RECORD * Math.min(records, FREE + Math.floor((stdout + stderr) / BYTES_PER_RECORD));
}

/** Up to this byte of a stream is the next to be shown. */
export interface Turn {
  stream: Stream;
  end: number;
}

/** What one reader is to show next. */
export class Turns {
  readonly #folder: string;
  readonly #named: Lengths = { stdout: 0, stderr: 0 };
  #turn: Turn | undefined;
  #at = 0;
  #ahead: Buffer = Buffer.alloc(0);

  /** @param folder of the run in the spool */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * @param shown how far the reader is
   * @param lengths how far it may go. They were read before this call: the records of these bytes are there by now
   * @returns undefined if there is nothing to show, or what comes next may not be shown yet
   */
  next(shown: Lengths, lengths: Lengths, ended: boolean): Turn | undefined {
    for (this.#turn ??= this.#read(); this.#turn !== undefined; this.#turn = this.#read()) {
      const { stream, end } = this.#turn;
      if (shown[stream] < Math.min(end, lengths[stream])) return { stream, end: Math.min(end, lengths[stream]) };
      if (shown[stream] < end && !ended) return undefined;
    }
    const stream = STREAMS.find((name) => shown[name] < lengths[name]);
    return stream === undefined ? undefined : { stream, end: lengths[stream] };
  }

  #read(): Turn | undefined {
    if (this.#ahead.length < RECORD) this.#ahead = readRecords(this.#folder, this.#at);
    if (this.#ahead.length < RECORD) return undefined;
    const record = this.#ahead.readUInt32LE();
    this.#ahead = this.#ahead.subarray(RECORD);
    this.#at += RECORD;
    const stream = record % 2 === 0 ? 'stdout' : 'stderr';
    this.#named[stream] += Math.floor(record / 2);
    return { stream, end: this.#named[stream] };
  }
}

/** Whether it is known in which order a run printed: to one stream alone, or as its file says. */
export function isOrderKnown(folder: string, { stdout, stderr }: Lengths): boolean {
  return Math.min(stdout, stderr) === 0 || existsSync(path.join(folder, NAME));
}

/** How many bytes of each stream a file names, and its size. */
export interface Named extends Lengths {
  size: number;
}

/** Whether a file can be that of a run with such lengths. There may be one record more than they need: of bytes before one that could not be kept. */
export function isOrderOf({ stdout, stderr, size }: Named, lengths: Lengths): boolean {
  return stdout <= lengths.stdout && stderr <= lengths.stderr && size <= orderSizeAtMost(lengths) + RECORD;
}

/** @throws a system error */
export function namedIn(folder: string): Named {
  const named = { stdout: 0, stderr: 0, size: 0 };
  for (let bytes = readRecords(folder, 0); bytes.length > 0; bytes = readRecords(folder, named.size)) {
    named.size += bytes.length;
    for (let at = 0; at + RECORD <= bytes.length; at += RECORD) {
      const record = bytes.readUInt32LE(at);
      named[record % 2 === 0 ? 'stdout' : 'stderr'] += Math.floor(record / 2);
    }
  }
  return named;
}

/** Some of what follows a place. A run without the file has no records. @throws a system error */
function readRecords(folder: string, position: number): Buffer {
  let fd: number;
  try {
    fd = openSync(path.join(folder, NAME), 'r');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return Buffer.alloc(0);
    throw error;
  }
  try {
    const buffer = Buffer.alloc(FREE * RECORD);
    return buffer.subarray(0, readSync(fd, buffer, 0, buffer.length, position));
  } finally {
    closeSync(fd);
  }
}
