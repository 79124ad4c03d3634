/** What `simulate` prints: progress on stderr while it runs, and on stdout a table at the end, or JSON as it comes. */
import { formatTable, printJsonLines } from '../terminal.ts';
import type { Asked } from './ask.ts';

export interface Line extends Asked {
  host: string;
  script: string;
}

export interface Report {
  begin: (script: string, question: string, number: number, of: number) => void;
  /** Another try of the same question. */
  again: (number: number) => void;
  end: (line: Line) => void;
  /** @returns the exit code */
  finish: () => number;
}

export function createReport(json: boolean): Report {
  const lines: Line[] = [];
  return {
    begin: (script, question, number, of) => process.stderr.write(`[${number}/${of}] ${script}: ${question} … `),
    again: (number) => process.stderr.write(`failed, try ${number} … `),
    end: (line) => {
      lines.push(line);
      process.stderr.write(`${line.state}, ${line.duration_ms} ms\n`);
      if (json) printJsonLines([line]);
    },
    finish: () => {
      if (!json) process.stdout.write(table(lines) + remarks(lines) + total(lines));
      return lines.some(({ state }) => state === 'FAIL') ? 1 : 0;
    },
  };
}

function table(lines: Line[]): string {
  const rows = lines.map(({ state, script, asked, calls, exit, duration_ms, concludes }) => [
    ...[state, script, asked, String(calls), exit === null ? '-' : String(exit)],
    ...[`${duration_ms} ms`, concludes],
  ]);
  return `\n${formatTable(['', 'SCRIPT', 'ASKED', 'CALLS', 'EXIT', 'TIME', 'THE HOST CONCLUDES'], rows)}`;
}

/** What explains the lines that are not plainly well; the same explanation once. */
function remarks(lines: Line[]): string {
  const told = new Map<string, string[]>();
  for (const { why, script, asked } of lines) if (why !== '') told.set(why, [...(told.get(why) ?? []), `${script}, ${asked}`]);
  return [...told].map(([why, where]) => `\n${inShort(where, lines.length)}:\n  ${formatTable([why], [])}`).join('');
}

function inShort(where: string[], all: number): string {
  if (where.length === all && all > 1) return 'everything';
  const more = where.length > 4 ? `; and ${where.length - 3} more` : '';
  return `${where.slice(0, more === '' ? 4 : 3).join('; ')}${more}`;
}

function total(lines: Line[]): string {
  const count = (state: Line['state']): number => lines.filter((line) => line.state === state).length;
  const parts = [`${count('ok')} ok`, `${count('warn')} to look at`, `${count('unasked')} that cannot be asked`, `${count('FAIL')} failed`];
  return `\n${lines.length} asked: ${parts.join(', ')}\n`;
}
