/** What the command line prints for people: errors, tables, times. */
import { Failure, exitCodeOf } from '../../protocol/failures.ts';

/** 128 + SIGPIPE, as programs end whose output nobody reads. */
export const EXIT_UNREAD = 141;
/** EX_USAGE (sysexits.h). */
export const EXIT_USAGE = 64;
/** EX_CONFIG. */
export const EXIT_CONFIG = 78;

/** Something that the person at the terminal can mend: printed as it is, without a stack. */
export class UsageError extends Error {
  readonly exitCode: number = EXIT_USAGE;
}

/** keys.yaml cannot be used. */
export class KeysError extends UsageError {
  override readonly exitCode = EXIT_CONFIG;
}

/** Everything was said already; this is the exit code. */
export class Concluded extends Error {
  readonly exitCode: number;

  constructor(exitCode: number) {
    super();
    this.exitCode = exitCode;
  }
}

/** Prints an error on stderr and returns the exit code for it. */
export function fail(error: unknown): number {
  if (error instanceof Concluded) return error.exitCode;
  if (error instanceof UsageError) {
    process.stderr.write(`mediator-agent: ${error.message}\n`);
    return error.exitCode;
  }
  const failure = Failure.from(error);
  process.stderr.write(`mediator-agent: ${failure.message}\n`);
  if (failure.code !== 'internal') return exitCodeOf(failure.code);
  if (failure.cause instanceof Error && process.env.MEDIATOR_DEBUG !== undefined) process.stderr.write(`${failure.cause.stack ?? ''}\n`);
  return 1;
}

/** A table with aligned columns, for people. */
export function formatTable(head: string[], rows: string[][]): string {
  const lines = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...lines.map((line) => printable(line[column]).length)));
  return (
    lines
      .map((line) =>
        line
          .map((cell, column) => printable(cell).padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd(),
      )
      .join('\n') + '\n'
  );
}

/** What is known of one thing, a line each. */
export function printFacts(facts: Record<string, unknown>): void {
  const width = Math.max(...Object.keys(facts).map((fact) => fact.length)) + 1;
  const lines = Object.entries(facts).map(
    ([fact, value]) => `${`${fact}:`.padEnd(width)} ${printable(typeof value === 'string' ? value : JSON.stringify(value))}\n`,
  );
  process.stdout.write(lines.join(''));
}

export function printJsonLines(values: unknown[]): void {
  process.stdout.write(values.map((value) => `${JSON.stringify(value)}\n`).join(''));
}

/** Control characters made visible, and what reorders a line or stands in it unseen: names and messages come from outside. */
export function printable(text = ''): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) => {
    const code = (character.codePointAt(0) ?? 0).toString(16);
    return code.length > 2 ? `\\u${code}` : `\\x${code.padStart(2, '0')}`;
  });
}
