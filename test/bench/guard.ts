/**
 * The guard against regressions: ratios of today against those that were recorded. A quick run on a busy machine is good for what got several times
 * as bad, not for less; and what seems worse counts only if it is worse every time.
 */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { ROWS, type Result, type RowName } from './rows.ts';

/**
 * What a quick run may differ by, as a factor. The two sides of a row do not suffer alike from others on the machine: with a load of 20 on 2 cores,
 * ratios of times came out up to 2.2 times worse than on the same machine alone. Two agents side by side do.
 */
const TOLERANCE = { ms: 3, 'runs/s': 2.5, 'MB/s': 2.5, MiB: 2 } as const;
const FLAT_TOLERANCE = 1.75;
/** Memory that grew by less is nobody's concern, in MiB. */
const MEMORY_FLOOR = 64;

const Recorded = z.partialRecord(z.string(), z.number());
export type Recorded = z.output<typeof Recorded>;

export function readRecorded(file: string): Recorded {
  return Recorded.parse(JSON.parse(readFileSync(file, 'utf8')));
}

export function isWorse({ name, value }: Result, recorded: Recorded): boolean {
  const { better, unit } = ROWS[name];
  const before = recorded[name];
  if (before === undefined || (unit === 'MiB' && value < MEMORY_FLOOR)) return false;
  const tolerance = name.startsWith('flat_') ? FLAT_TOLERANCE : TOLERANCE[unit];
  return better === 'lower' ? value > before * tolerance : value < before / tolerance;
}

/** The better one of two measurements of a row. */
export function betterOf(a: Result, b: Result): Result {
  const lower = a.value < b.value ? a : b;
  return ROWS[a.name].better === 'lower' ? lower : lower === a ? b : a;
}

/** Prints a line a row and the total. @returns whether nothing failed and nothing was skipped */
export function printVerdicts(recorded: Recorded, results: ReadonlyMap<RowName, Result>, names: readonly RowName[]): boolean {
  const counts = { ok: 0, WORSE: 0, skipped: 0 };
  for (const name of names) {
    const [before, now] = [recorded[name], results.get(name)];
    const verdict = before === undefined || now === undefined ? 'skipped' : isWorse(now, recorded) ? 'WORSE' : 'ok';
    counts[verdict] += 1;
    const figures = `${now?.value.toFixed(2) ?? 'not measured'}, recorded ${before?.toFixed(2) ?? 'nothing'}`;
    console.log(`${verdict.padEnd(8)} ${name}: ${figures}`);
  }
  console.log(`${counts.ok} passed, ${counts.WORSE} failed, ${counts.skipped} skipped`);
  return counts.WORSE + counts.skipped === 0;
}
