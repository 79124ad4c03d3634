/**
 * Properties over generated cases, and over those that were found once. FUZZ_RUNS is the number of cases of each property, FUZZ_SEED
 * repeats a run. What was found stands in corpus/, by property: each is a test of its own that always runs.
 */
import fc from 'fast-check';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { z } from 'zod';

export const RUNS = Number(process.env.FUZZ_RUNS ?? 1000);
const SEED = process.env.FUZZ_SEED === undefined ? {} : { seed: Number(process.env.FUZZ_SEED) };

const Corpus = z.array(z.strictObject({ name: z.string(), value: z.unknown() }));

/**
 * @param recorded a case as corpus/NAME.json writes it; without it, the property has no corpus
 * @param share of FUZZ_RUNS, for what is dear
 */
export function holds<T>(
  name: string,
  what: fc.Arbitrary<T>,
  read: (value: T) => unknown,
  { corpus, recorded, share = 1 }: { corpus?: string; recorded?: z.ZodType<T>; share?: number } = {},
): void {
  test(name, async () => {
    const numRuns = Math.max(1, Math.round(RUNS * share));
    await fc.assert(
      fc.asyncProperty(what, async (value) => {
        await read(value);
      }),
      { numRuns, ...SEED },
    );
  });
  if (corpus === undefined || recorded === undefined) return;
  const file = path.join(import.meta.dirname, 'corpus', `${corpus}.json`);
  if (!existsSync(file)) return;
  for (const found of Corpus.parse(JSON.parse(readFileSync(file, 'utf8')))) {
    test(`${name}: ${found.name}`, async () => {
      await read(recorded.parse(found.value));
    });
  }
}

export const bytes = fc.uint8Array({ maxLength: 400 }).map((array) => Buffer.from(array));

/** Known words in any order, with a few characters of anything in between. */
export function words(...known: string[]): fc.Arbitrary<string> {
  return fc
    .array(fc.oneof(fc.constantFrom(...known), fc.string({ unit: 'binary', maxLength: 4 })), { maxLength: 40 })
    .map((parts) => parts.join(''));
}

/** Something valid with a few bytes changed, removed or put in. */
export function damaged(valid: fc.Arbitrary<string | Buffer>): fc.Arbitrary<Buffer> {
  return fc.tuple(valid, fc.array(fc.tuple(fc.nat(4000), fc.nat(2), bytes), { maxLength: 3 })).map(([whole, changes]) =>
    changes.reduce<Buffer>(
      (all, [at, removed, put]) => {
        const place = at % (all.length + 1);
        return Buffer.concat([all.subarray(0, place), put.subarray(0, 4), all.subarray(place + removed)]);
      },
      Buffer.isBuffer(whole) ? whole : Buffer.from(whole),
    ),
  );
}

/** Bytes cut into pieces anywhere. */
export function inPieces(whole: Buffer, cuts: number[]): Buffer[] {
  const places = [...new Set(cuts.map((cut) => cut % (whole.length + 1)))].sort((a, b) => a - b);
  return [0, ...places].map((from, index) => whole.subarray(from, places[index] ?? whole.length));
}

/** What a shell would carry out, or take apart, if it were let. */
export const SHELL = [
  '$(touch canary)',
  '`touch canary`',
  'a[$(touch canary)]',
  ';touch canary;',
  '\ntouch canary\n',
  '"',
  "'",
  '\\',
  '%s%n%d',
  '%%',
  '*',
  '/etc/*',
  '$IFS',
  '${x?}',
  '!',
  '08',
  '-1',
  '99999999999999999999',
  '9223372036854775808',
  'MESSAGE_LIMIT',
];
