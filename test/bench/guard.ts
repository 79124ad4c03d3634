/**
 * The guard against regressions: ratios of today against those that were recorded (`npm run bench -- --quick --json > test/bench/recorded.json`).
 * A quick run on a noisy machine is good for what got twice as bad, not for less.
 */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { ROWS, type Result, type RowName } from './rows.ts';

/** What a quick run may differ by, as a factor. */
const TOLERANCE = 2;
/** Memory that grew by less is nobody's concern, in MiB. */
const MEMORY_FLOOR = 64;

const Recorded = z.partialRecord(z.string(), z.number());

/** Prints a line a row and the total. @returns whether nothing failed and nothing was skipped */
export function guard(file: string, results: readonly Result[], names: readonly RowName[]): boolean {
  const recorded = Recorded.parse(JSON.parse(readFileSync(file, 'utf8')));
  const counts = { ok: 0, WORSE: 0, skipped: 0 };
  for (const name of names) {
    const before = recorded[name];
    const now = results.find((result) => result.name === name)?.value;
    const verdict = before === undefined || now === undefined ? 'skipped' : isWorse(name, now, before) ? 'WORSE' : 'ok';
    counts[verdict] += 1;
    const figures = `${now?.toFixed(2) ?? 'not measured'}, recorded ${before?.toFixed(2) ?? 'nothing'}`;
    console.log(`${verdict.padEnd(8)} ${name}: ${figures}`);
  }
  console.log(`${counts.ok} passed, ${counts.WORSE} failed, ${counts.skipped} skipped`);
  return counts.WORSE + counts.skipped === 0;
}

function isWorse(name: RowName, now: number, before: number): boolean {
  const { better, unit } = ROWS[name];
  if (unit === 'MiB' && now < MEMORY_FLOOR) return false;
  return better === 'lower' ? now > before * TOLERANCE : now < before / TOLERANCE;
}
