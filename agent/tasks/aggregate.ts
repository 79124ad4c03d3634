/** From the results of an event's tasks to the one answer that the host gets (checkpoint: Tasks). */
import { isBefore } from './task.ts';

/** How one task ended. `failed` is its answer; `broken` means that it gave none, and its fail-open decides. */
export type TaskResult = { state: 'succeeded' } | { state: 'failed' | 'broken'; message: string };

export interface Decided {
  /** The task said no, or gave no answer and its fail-open is false. */
  failed: boolean;
  message: string;
}

/** What a task's result means for the event. */
export function decide(result: TaskResult, failOpen: boolean): Decided {
  if (result.state === 'succeeded') return { failed: false, message: '' };
  if (result.state === 'failed') return { failed: true, message: result.message };
  return { failed: !failOpen, message: `${result.message}; fail-open: ${failOpen}` };
}

/** Whether the tasks that follow still run: a *before* event is aborted by the first failure. */
export function goesOn(trigger: string, decided: Decided): boolean {
  return !(decided.failed && isBefore(trigger));
}

export interface EventAnswer {
  stdout: string;
  code: number;
}

/** @param failure the message of the first task that failed, undefined if none did */
export function answerEvent(trigger: string, failure: string | undefined): EventAnswer {
  if (!isBefore(trigger)) return { stdout: '', code: failure === undefined ? 0 : 1 };
  const verdict = failure === undefined ? { result: 'success' } : { result: 'failure', message: failure };
  return { stdout: `${JSON.stringify(verdict)}\n`, code: 0 };
}
