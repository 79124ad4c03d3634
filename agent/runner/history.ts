/** How many runs there were, over time. */
import { setImmediate as breathe } from 'node:timers/promises';
import { encodeTime } from 'ulid';
import type { Tally } from '../journal/journal.ts';

const BUCKETS = 48;
const HOUR = 3_600_000;

export interface Bucket extends Tally {
  /** Milliseconds since the epoch. */
  from: number;
}

/**
 * Equal spans of time up to now, oldest first. Ids begin with their time, so that no index but that of the ids is read; and others get
 * their turn between two spans.
 */
export async function history(tally: (from: string, to: string) => Tally, hours: number, now: number): Promise<Bucket[]> {
  const span = (hours * HOUR) / BUCKETS;
  const begin = now - hours * HOUR;
  const buckets: Bucket[] = [];
  for (let index = 0; index < BUCKETS; index += 1) {
    const from = Math.round(begin + index * span);
    const to = index === BUCKETS - 1 ? now + 1 : Math.round(from + span);
    buckets.push({ from, ...tally(idAt(from), idAt(to)) });
    await breathe();
  }
  return buckets;
}

/** Less than every id of that millisecond and later. */
function idAt(time: number): string {
  return encodeTime(time, 10);
}
