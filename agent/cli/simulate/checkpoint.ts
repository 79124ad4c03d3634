/** What Check Point asks of a script: a SmartTask with the action Run Script, trigger by trigger (checkpoint: Run Script). */
import { judgeAfter, judgeBefore } from './judge.ts';
import { TRIGGERS, isBefore, newPayload } from './payloads.ts';
import type { Question, Subject, Wishes } from './question.ts';

/** Bytes of JSON: usual, larger, the most that fits into an argument as Base64, one more, and a publish with thousands of changes. */
const SIZES = [1_000, 10_000, 98_301, 98_302, 1_000_000];

export function questionsOfCheckPoint({ kind }: Subject, wishes: Wishes): Question[] {
  const triggers = wishes.triggers.length > 0 ? wishes.triggers : TRIGGERS.filter((trigger) => fits(kind, trigger));
  const [first = 'After Publish'] = triggers;
  const sizes = wishes.size === undefined && wishes.input === undefined ? SIZES : [];
  return [
    ...triggers.map((trigger) => onTrigger(trigger, wishes, wishes.size ?? 0)),
    ...sizes.map((size) => onTrigger(first, wishes, size, `${first}, ${inUnits(size)}`)),
  ];
}

function fits(kind: Subject['kind'], trigger: string): boolean {
  return kind === undefined || (kind === 'before') === isBefore(trigger);
}

function onTrigger(trigger: string, { input, failOpen, customData }: Wishes, size: number, name = trigger): Question {
  const payload = input ?? newPayload(trigger, size, customData);
  return {
    name,
    trigger,
    // stdin is nothing, for ever: a stub that waits for its end would hang
    call: { args: [payload.toString('base64')], env: {}, stdin: undefined },
    tries: 1,
    callers: 1,
    judge: isBefore(trigger) ? judgeBefore(failOpen) : judgeAfter,
    ticket: '',
  };
}

function inUnits(bytes: number): string {
  return bytes % 1000 === 0 ? `${bytes / 1000} kB` : `${bytes} bytes`;
}
