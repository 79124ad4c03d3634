/** Slows down addresses from which attempts fail again and again. */
import { Failure } from '../../protocol/failures.ts';

/** So many failures are forgiven; one more is forgiven every {@link RECOVERY} milliseconds. */
const TOLERANCE = 20;
const RECOVERY = 3000;
/** Addresses remembered, and keys at them; the oldest is forgotten. */
const MAX_ADDRESSES = 10_000;

export class Penalties {
  /** The moment, in milliseconds, at which all failures of an address are forgiven. */
  readonly #clearedAt = new Map<string, number>();
  /** Keys and the addresses at which they were proven, the last one used last. */
  readonly #proven = new Set<string>();

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

  /**
   * A key was proven. Where it was proven before, failures of others do not shut it out: the pods of a node share an address, and a stub whose secret
   * was revoked goes on calling beside its successor.
   * @throws Failure `slow-down`
   */
  pass(address: string, key: string, now: number): void {
    const pair = `${key} ${address}`;
    if (!this.#proven.delete(pair)) this.check(address, now);
    this.#proven.add(pair);
    forgetOldest(this.#proven);
  }

  /** Notes a failed attempt. */
  add(address: string, now: number): void {
    const clearedAt = Math.max(this.#clearedAt.get(address) ?? 0, now) + RECOVERY;
    this.#clearedAt.delete(address);
    this.#clearedAt.set(address, clearedAt);
    forgetOldest(this.#clearedAt);
  }
}

function forgetOldest(entries: Set<string> | Map<string, unknown>): void {
  const oldest = entries.size > MAX_ADDRESSES ? entries.keys().next().value : undefined;
  if (oldest !== undefined) entries.delete(oldest);
}
