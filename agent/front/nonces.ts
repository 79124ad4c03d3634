/** Nonces that were used, for as long as their time would still be accepted. */
import path from 'node:path';
import { INTERVALS } from '../../protocol/constants.ts';
import { Failure } from '../../protocol/failures.ts';
import type { Config } from '../config/config.ts';
import type { Logger } from '../log.ts';
import { NonceFile } from './nonce-file.ts';

/** About 100 bytes each; 1,500 new connections a second for as long as a nonce is kept. */
const MAX_NONCES = 500_000;

export class Nonces {
  /** Nonces by the second of their claim. */
  readonly #bySecond = new Map<number, Set<string>>();
  readonly #file: NonceFile | undefined;
  #count = 0;

  /**
   * @param file remembers them beyond the end of this front
   * @param now seconds since the epoch
   */
  constructor(file?: NonceFile, now = 0) {
    this.#file = file;
    for (const { time, nonce } of file?.load(now) ?? []) this.#add(nonce, time);
  }

  /**
   * @param time the claim's time, in seconds
   * @param now seconds since the epoch
   * @throws Failure `replayed`, or `busy` if there are more than can be remembered
   */
  use(nonce: string, time: number, now: number): void {
    this.#forget(now - INTERVALS.clockSkewSeconds);
    if (this.#count >= MAX_NONCES) throw new Failure('busy', 'too many connections in the last minutes; try again later');
    if (this.#bySecond.get(time)?.has(nonce) === true) {
      throw new Failure('replayed', 'this request was used before; a stub makes a new one for every call');
    }
    this.#add(nonce, time);
    this.#file?.append({ time, nonce }, now);
  }

  #add(nonce: string, time: number): void {
    const used = this.#bySecond.get(time) ?? new Set();
    this.#count += used.has(nonce) ? 0 : 1;
    this.#bySecond.set(time, used.add(nonce));
  }

  #forget(before: number): void {
    for (const [time, nonces] of this.#bySecond) {
      if (time >= before) continue;
      this.#count -= nonces.size;
      this.#bySecond.delete(time);
    }
  }
}

/** With what earlier fronts have written down, in a folder of the front's own: under systemd it is another user than the runner. */
export function openNonces({ nonces, state }: Config, log: Logger): Nonces {
  const folder = nonces ?? process.env.STATE_DIRECTORY ?? path.join(state, 'front');
  const file = new NonceFile(folder, (error) => {
    log.warn({ err: error }, 'a used nonce could not be written down; after a restart it could be used again');
  });
  return new Nonces(file, Math.floor(Date.now() / 1000));
}
