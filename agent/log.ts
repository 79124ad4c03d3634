/** The log: JSON lines on stdout, secrets redacted. Journald and every log shipper read that. */
import { fstatSync } from 'node:fs';
import pino from 'pino';

export type Logger = pino.Logger;

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

const REDACTED = ['secret', '*.secret', 'secrets', '*.secrets', 'authorization', '*.authorization', 'env', '*.env', 'args', '*.args'];

/**
 * @param part which process writes: `front`, `runner` or `keeper`
 * The destination is synchronous: a line that was logged is written, also when the process is killed straight after.
 */
export function createLogger(part: string, level: LogLevel): Logger {
  const stdout = pino.destination({ fd: 1, sync: true });
  return pino(
    { level, base: { part }, timestamp: pino.stdTimeFunctions.isoTime, redact: REDACTED },
    isJournal(1) ? { write: (line: string) => stdout.write(withPriority(line)) } : stdout,
  );
}

/** Whether systemd reads what we write there (systemd.exec(5), JOURNAL_STREAM). */
function isJournal(fd: number): boolean {
  const { dev, ino } = fstatSync(fd);
  return process.env.JOURNAL_STREAM === `${dev}:${ino}`;
}

/** Syslog priorities by the levels of pino; journald takes them from the beginning of a line (sd-daemon(3)). */
const PRIORITIES: Record<string, number> = { 20: 7, 30: 6, 40: 4, 50: 3 };

function withPriority(line: string): string {
  return `<${PRIORITIES[/^\{"level":(\d+)/.exec(line)?.[1] ?? ''] ?? 6}>${line}`;
}
