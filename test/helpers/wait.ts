/** Waiting for a thing, with a bound. */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';

/** Generous: the machines are noisy, and a test that waits for what comes does not get slower by it. */
const PATIENCE = 60_000;
const POLL = 10;

/** Asks until the answer is neither undefined nor false, and returns it. */
export async function until<T>(
  what: string,
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  patience = PATIENCE,
): Promise<T> {
  const deadline = performance.now() + patience;
  for (;;) {
    const answer = await probe();
    if (answer !== undefined && answer !== false) return answer;
    assert.ok(performance.now() < deadline, `waited ${patience} ms in vain: ${what}`);
    await delay(POLL);
  }
}

/** The value of a promise, which must come in time. */
export async function soon<T>(what: string, promise: Promise<T>, patience = PATIENCE): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`waited ${patience} ms in vain: ${what}`));
    }, patience);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
