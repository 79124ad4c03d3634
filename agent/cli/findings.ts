/** What `check` and `doctor` found: a line for each thing that was looked at, `ok` or what to do. */
import { styleText } from 'node:util';
import { Failure } from '../../protocol/failures.ts';
import { formatProblem, type Problem } from '../config/yaml-file.ts';
import { printable, printJsonLines } from './terminal.ts';

export interface Finding {
  /** `warn`: calls are answered, but something should be done. */
  state: 'ok' | 'warn' | 'fail';
  /** A file, a script, a unit, an address. */
  about: string;
  /** What is known of it; or what is wrong, and the remedy. May be empty. */
  message: string;
}

export const ok = (about: string, message = ''): Finding => ({ state: 'ok', about, message });
export const warn = (about: string, message: string): Finding => ({ state: 'warn', about, message });
export const fail = (about: string, message: string): Finding => ({ state: 'fail', about, message });
/** What is wrong with a file, at its line. */
export function faulty(problem: Problem): Finding {
  return fail(formatProblem({ ...problem, message: '' }).replace(/: $/, ''), problem.message);
}
/** For what was thrown while something was looked at. */
export function failed(about: string, error: unknown): Finding {
  const message = typeof error === 'string' ? error : Failure.from(error).message;
  return fail(about, message.startsWith(`${about} `) ? message.slice(about.length + 1) : message);
}

const LABELS = { ok: styled('green', 'ok  '), warn: styled('yellow', 'warn'), fail: styled('red', 'FAIL') };

/** On a terminal in colour, unless NO_COLOR says otherwise. */
function styled(colour: 'green' | 'yellow' | 'red', text: string): () => string {
  return () => styleText(colour, text, { stream: process.stdout });
}

export function printFinding({ state, about, message }: Finding, json: boolean | undefined): void {
  if (json === true) printJsonLines([{ state, about, message }]);
  else process.stdout.write(`${LABELS[state]()}  ${printable(message === '' ? about : `${about}: ${message}`)}\n`);
}

export function countFailures(findings: Finding[]): number {
  return findings.filter(({ state }) => state === 'fail').length;
}
