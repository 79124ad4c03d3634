/** How a run ends, and the exit code that the stub makes of it: one closed table. */

/** What the process itself reported. Exactly one of the two is a value (waitpid(2)). */
export interface ProcessExit {
  code: number | null;
  /** Signal number, 1 to 64. */
  signal: number | null;
}

interface OutcomeRow {
  meaning: string;
  /** The exit code in words, for protocol/README.md. */
  code: string;
}

export const OUTCOMES = {
  exited: { meaning: 'the script ended by itself', code: "the script's own, 0 to 255" },
  signaled: { meaning: 'a signal that the agent did not send ended the script', code: '128 + the number of the signal' },
  'timed-out': { meaning: 'the script ran longer than it may and was ended, with everything that it had started', code: '124' },
  cancelled: { meaning: 'an operator or the caller cancelled the run, and it was ended', code: '143' },
  refused: { meaning: 'nothing was started; the message says why', code: 'by the failure, below' },
  lost: {
    meaning: 'the agent went away while the script ran, or the script was written to as it was started; how it ended is not known',
    code: '125',
  },
} as const satisfies Record<string, OutcomeRow>;

export type Outcome = keyof typeof OUTCOMES;

export const OUTCOME_NAMES: readonly Outcome[] = Object.keys(OUTCOMES).filter(isOutcome);

export function isOutcome(name: string): name is Outcome {
  return Object.hasOwn(OUTCOMES, name);
}

export const EXIT_TIMED_OUT = 124;
export const EXIT_UNKNOWN = 125;
/** 128 + SIGTERM, whatever signal it took in the end. */
export const EXIT_CANCELLED = 143;

/** Outcome and exit code of a process that nobody ended on purpose. */
export function outcomeOf(exit: ProcessExit): { outcome: Outcome; code: number } {
  if (exit.code !== null) return { outcome: 'exited', code: exit.code };
  return { outcome: 'signaled', code: 128 + (exit.signal ?? 0) };
}
