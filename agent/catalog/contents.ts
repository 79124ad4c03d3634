/** What is in a file, once it has been left alone for a while: half a copy never runs. Kept for as long as the file stays the same. */
import { createHash } from 'node:crypto';
import { statSync, type BigIntStats } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { Failure } from '../../protocol/failures.ts';
import { readBelow } from '../config/scripts-folder.ts';
import { HEAD_BYTES } from './interpreter.ts';

/** Files remembered; beyond it the oldest is forgotten. */
const CACHE_SIZE = 50_000;
/** A file that changes this many times in a row, while we wait for it, is being written. */
const SETTLE_TRIES = 10;

export interface Content {
  sha256: string;
  /** The first {@link HEAD_BYTES} bytes. */
  head: Buffer;
  /** Of the file that was read. */
  fingerprint: string;
}

export class Contents {
  readonly #settle: number;
  readonly #known = new Map<string, Content>();

  /** @param settle milliseconds without a change, after which a file is complete */
  constructor(settle: number) {
    this.#settle = settle;
  }

  /** @throws Failure `unsettled-script` if the file does not come to rest, `no-such-script` if it vanished, `cannot-start` if we may not read it */
  async read(name: string, file: string): Promise<Content> {
    const known = this.#known.get(file);
    const stats = await settled(name, file, this.#settle, known?.fingerprint);
    return known?.fingerprint === fingerprintOf(stats) ? known : this.#load(name, file, stats);
  }

  /** What we may not read, an interpreter could not either. */
  #load(name: string, file: string, stats: BigIntStats): Content {
    const bytes = readBelow(file, name);
    if (bytes.length === 0)
      throw new Failure('unsettled-script', `${name} is empty, so that nothing was started; try again when it has been written`);
    const content = {
      fingerprint: fingerprintOf(stats),
      sha256: createHash('sha256').update(bytes).digest('hex'),
      head: Buffer.from(bytes.subarray(0, HEAD_BYTES)),
    };
    remember(this.#known, file, content);
    return content;
  }
}

/**
 * The stats of a file that was left alone for `settle` milliseconds, or whose fingerprint is the known one. One whose size has changed and not its time is in
 * the middle of a truncation: ext4 does the one before the other, and may wait for its journal in between.
 * @throws Failure `unsettled-script`, `no-such-script`
 */
export async function settled(name: string, file: string, settle: number, known: string | undefined): Promise<BigIntStats> {
  let stats = stat(name, file);
  for (let tries = 0; tries < SETTLE_TRIES; tries += 1) {
    const age = Date.now() - Number(stats.ctimeMs);
    const fingerprint = fingerprintOf(stats);
    if (fingerprint === known) return stats;
    const torn = known?.endsWith(`:${stats.ctimeNs}`) === true;
    if (age >= settle && !torn) return stats;
    await delay(torn ? settle : Math.min(settle, settle - age)); // a change time in the future counts as now
    const again = stat(name, file);
    if (fingerprintOf(again) === fingerprint) return again;
    stats = again;
  }
  throw new Failure('unsettled-script', `${name} is being written at this moment; try again when the copy is complete`);
}

/** Differs whenever the file was written, replaced, or had its mode changed. */
export function fingerprintOf({ dev, ino, size, mode, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mode, mtimeNs, ctimeNs].join(':');
}

/** Sets an entry of a cache that is bounded. */
export function remember<T>(cache: Map<string, T>, key: string, value: T): void {
  cache.delete(key);
  cache.set(key, value);
  const oldest = cache.size > CACHE_SIZE ? cache.keys().next().value : undefined;
  if (oldest !== undefined) cache.delete(oldest);
}

function stat(name: string, file: string): BigIntStats {
  const stats = statSync(file, { bigint: true, throwIfNoEntry: false });
  if (stats === undefined) throw new Failure('no-such-script', `${name} was removed a moment ago`);
  return stats;
}
