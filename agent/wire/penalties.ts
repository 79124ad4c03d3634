/** Slows down addresses from which attempts fail again and again. */
import { Failure } from '../../protocol/failures.ts';

/** So many failures are forgiven; one more is forgiven every {@link RECOVERY} milliseconds. */
const TOLERANCE = 20;
const RECOVERY = 3000;
/** Addresses remembered; the oldest is forgotten. */
const MAX_ADDRESSES = 10_000;

export class Penalties {
  /** The moment, in milliseconds, at which all failures of an address are forgiven. */
  readonly #clearedAt = new Map<string, number>();

  /** @throws Failure `slow-down` */
  check(address: string, now: number): void {
    const debt = ((this.#clearedAt.get(address) ?? now) - now) / RECOVERY;
    if (debt >= TOLERANCE) {
      throw new Failure(
        'slow-down',
        `too many failed attempts from ${address}; wait ${Math.ceil(((debt - TOLERANCE + 1) * RECOVERY) / 1000)} s`,
      );
    }
  }

  /** Notes a failed attempt. */
  add(address: string, now: number): void {
    const clearedAt = Math.max(this.#clearedAt.get(address) ?? 0, now) + RECOVERY;
    this.#clearedAt.delete(address);
    this.#clearedAt.set(address, clearedAt);
    const oldest = this.#clearedAt.size > MAX_ADDRESSES ? this.#clearedAt.keys().next().value : undefined;
    if (oldest !== undefined) this.#clearedAt.delete(oldest);
  }
}
