/** The log: JSON lines on stdout, secrets redacted. Journald and every log shipper read that. */
import pino from 'pino';

export type Logger = pino.Logger;

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

const REDACTED = ['secret', '*.secret', 'secrets', '*.secrets', 'authorization', '*.authorization', 'env', '*.env', 'args', '*.args'];

/**
 * @param part which process writes: `front` or `runner`
 * The destination is synchronous: a line that was logged is written, also when the process is killed straight after.
 */
export function createLogger(part: string, level: LogLevel): Logger {
  return pino(
    { level, base: { part }, timestamp: pino.stdTimeFunctions.isoTime, redact: REDACTED },
    pino.destination({ fd: 1, sync: true }),
  );
}
