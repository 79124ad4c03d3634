/**
 * Nonces for the next front: what was used before a restart is refused after it. A file for each span of time, a line for each nonce; a file is
 * removed once no claim in it would be accepted. Nothing waits for the disk: a crash of the front loses nothing, a power cut the last seconds.
 */
import { appendFileSync, mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { INTERVALS } from '../../protocol/constants.ts';
import { Failure } from '../../protocol/failures.ts';

/** A claim may be as far ahead as it may be behind, so that this is how long one is accepted at the most. Seconds. */
const SPAN = 2 * INTERVALS.clockSkewSeconds;
const NAME = /^nonces-(\d{1,10})$/;
const LINE = /^(\d{1,12}) ([0-9a-f]{32})$/;

export interface UsedNonce {
  /** Of the claim, seconds since the epoch. */
  time: number;
  nonce: string;
}

export class NonceFile {
  readonly #folder: string;
  readonly #onFailure: (error: unknown) => void;
  #span = -1;

  /**
   * @param onFailure hears that a nonce could not be written: it is refused until the front ends, and no longer
   * @throws Failure if the folder cannot be used
   */
  constructor(folder: string, onFailure: (error: unknown) => void) {
    this.#folder = folder;
    this.#onFailure = onFailure;
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      appendFileSync(this.#fileOf(0), '', { mode: 0o600 });
      rmSync(this.#fileOf(0));
    } catch (cause) {
      const hint = 'name a folder that the front may write as nonces in agent.yaml';
      throw new Failure('internal', `cannot remember used nonces in ${folder}: ${Failure.from(cause).message}; ${hint}`, { cause });
    }
  }

  /** What earlier fronts have used, as far as it could still be accepted. @param now seconds since the epoch */
  load(now: number): UsedNonce[] {
    const used = this.#spans()
      .filter((span) => span >= spanOf(now) - 1)
      .flatMap((span) => readFileSync(this.#fileOf(span), 'latin1').split('\n'));
    return used
      .flatMap((line) => {
        const [, time, nonce = ''] = LINE.exec(line) ?? [];
        return time === undefined ? [] : [{ time: Number(time), nonce }];
      })
      .filter(({ time }) => time >= now - INTERVALS.clockSkewSeconds);
  }

  /** @param now seconds since the epoch */
  append({ time, nonce }: UsedNonce, now: number): void {
    try {
      const span = spanOf(now);
      if (span !== this.#span) this.#forgetBefore(span - 1);
      this.#span = span;
      appendFileSync(this.#fileOf(span), `${time} ${nonce}\n`, { mode: 0o600 });
    } catch (error) {
      this.#onFailure(error);
    }
  }

  #forgetBefore(span: number): void {
    for (const old of this.#spans()) if (old < span) rmSync(this.#fileOf(old));
  }

  #spans(): number[] {
    return readdirSync(this.#folder).flatMap((name) => {
      const match = NAME.exec(name);
      return match === null ? [] : [Number(match[1])];
    });
  }

  #fileOf(span: number): string {
    return path.join(this.#folder, `nonces-${span}`);
  }
}

function spanOf(now: number): number {
  return Math.floor(now / SPAN);
}
