/** What is printed: a line a row as soon as it is known on stderr, the table in the end on stdout. */
import { availableParallelism, cpus } from 'node:os';
import { meets, ROWS, type Result, type RowName } from './rows.ts';

export function printResult(name: RowName, result: Result | undefined): void {
  console.error(result === undefined ? `${name}: skipped, what it is compared with is not there` : `${name}: ${describe(result)}`);
}

/** In Markdown, with the machine below it. */
export function tableOf(results: readonly Result[]): string {
  const rows = results.map((result) => {
    const { what, goal, better } = ROWS[result.name];
    return [`\`${result.name}\``, what, `${better === 'lower' ? '≤' : '≥'} ${goal}`, describe(result), meets(result) ? 'met' : 'MISSED'];
  });
  const table = [['row', 'what', 'goal', 'measured', ''], ['---', '---', '---', '---', '---'], ...rows];
  const machine = `Node ${process.version}, ${availableParallelism()} cores, ${cpus()[0]?.model.trim() ?? 'unknown processor'}`;
  return [
    ...table.map((cells) => `| ${cells.join(' | ')} |`),
    '',
    `Medians, quartiles of the ratio within a round, and both sides. ${machine}.`,
  ].join('\n');
}

function describe({ name, value, low, high, ours, theirs }: Result): string {
  const { unit } = ROWS[name];
  if (unit === 'MiB') return `${value.toFixed(0)} MiB`;
  const spread = low === undefined || high === undefined ? '' : ` (${low.toFixed(2)}–${high.toFixed(2)})`;
  const sides = ours === undefined || theirs === undefined ? '' : `, ${ours.toPrecision(3)} ÷ ${theirs.toPrecision(3)} ${unit}`;
  return `${value.toFixed(2)}${spread}${sides}`;
}
