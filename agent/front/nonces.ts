/** Nonces that were used, for as long as their time would still be accepted. */
import { INTERVALS } from '../../protocol/constants.ts';
import { Failure } from '../../protocol/failures.ts';

/** About 100 bytes each; 1,500 new connections a second for as long as a nonce is kept. */
const MAX_NONCES = 500_000;

export class Nonces {
  /** Nonces by the second of their claim. */
  readonly #bySecond = new Map<number, Set<string>>();
  #count = 0;

  /**
   * @param time the claim's time, in seconds
   * @param now seconds since the epoch
   * @throws Failure `replayed`, or `busy` if there are more than can be remembered
   */
  use(nonce: string, time: number, now: number): void {
    this.#forget(now - INTERVALS.clockSkewSeconds);
    if (this.#count >= MAX_NONCES) throw new Failure('busy', 'too many connections in the last minutes; try again later');
    const used = this.#bySecond.get(time) ?? new Set();
    if (used.has(nonce)) throw new Failure('replayed', 'this request was used before; a stub makes a new one for every call');
    used.add(nonce);
    this.#bySecond.set(time, used);
    this.#count += 1;
  }

  #forget(before: number): void {
    for (const [time, nonces] of this.#bySecond) {
      if (time >= before) continue;
      this.#count -= nonces.size;
      this.#bySecond.delete(time);
    }
  }
}
