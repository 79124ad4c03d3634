/** What is printed: a line a row as soon as it is known on stderr, the table in the end on stdout. */
import { availableParallelism, cpus } from 'node:os';
import { meets, ROWS, type Result, type RowName } from './rows.ts';

export function printResult(name: RowName, result: Result | undefined): void {
  console.error(result === undefined ? `${name}: skipped, what it is compared with is not there` : `${name}: ${describe(result)}`);
}

export function printTable(results: Result[]): void {
  const rows = results.map((result) => {
    const { what, goal, better } = ROWS[result.name];
    return [result.name, what, `${better === 'lower' ? '≤' : '≥'} ${goal}`, describe(result), meets(result) ? 'met' : 'MISSED'];
  });
  const table = [['row', 'what', 'goal', 'measured', ''], ['---', '---', '---', '---', '---'], ...rows];
  console.log(`\nNode ${process.version}, ${availableParallelism()} cores, ${cpus()[0]?.model.trim() ?? 'unknown processor'}\n`);
  for (const cells of table) console.log(`| ${cells.join(' | ')} |`);
}

function describe({ name, value, low, high, ours, theirs }: Result): string {
  const { unit } = ROWS[name];
  if (unit === 'MiB') return `${value.toFixed(0)} MiB`;
  const spread = low === undefined || high === undefined ? '' : ` (${low.toFixed(2)}–${high.toFixed(2)})`;
  const sides = ours === undefined || theirs === undefined ? '' : `, ${ours.toPrecision(3)} ÷ ${theirs.toPrecision(3)} ${unit}`;
  return `${value.toFixed(2)}${spread}${sides}`;
}
