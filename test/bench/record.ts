/** What a run of the bench leaves in the repository: ratios that the guard compares with, and the table of docs/speed.md. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { readRecorded } from './guard.ts';
import { tableOf } from './report.ts';
import type { Result } from './rows.ts';

const RECORDED = path.join(import.meta.dirname, 'recorded.json');
const SPEED = path.join(import.meta.dirname, '../../docs/speed.md');
/** The table stands between these lines. */
const [BEGIN, END] = ['<!-- npm run bench -- --record -->', '<!-- end -->'];

/** Rows that were not measured stay in recorded.json as they were. */
export function record(results: readonly Result[]): void {
  const ratios = Object.fromEntries(results.map(({ name, value }) => [name, Number(value.toFixed(3))]));
  writeFileSync(RECORDED, `${JSON.stringify({ ...(existsSync(RECORDED) && readRecorded(RECORDED)), ...ratios }, undefined, 2)}\n`);
  const text = readFileSync(SPEED, 'utf8');
  const [from, to] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (from < 0 || to < from) throw new Error(`docs/speed.md has no place for the table: ${BEGIN} … ${END}`);
  writeFileSync(SPEED, `${text.slice(0, from)}${BEGIN}\n\n${tableOf(results)}\n\n${text.slice(to)}`);
}
