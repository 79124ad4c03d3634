/** What SecureChange asks of a script, kind by kind (securechange: Kinds and what they must answer). */
import type { Kind } from '../../config/kinds.ts';
import { answersByExit, judgeAnswer, judgeExit } from './judge.ts';
import type { Question, Subject, Wishes } from './question.ts';
import { TEST_TICKET, newDraft, newTicket, ticketFrom } from './tickets.ts';

/** The events of the API; others have been seen and an event is an open text. */
export const EVENTS: readonly string[] = [
  ...['CREATE', 'ADVANCE', 'REDO', 'RESUBMIT', 'REOPEN', 'RESOLVE', 'REJECT', 'CANCEL', 'CLOSE'],
  'AUTOMATION_FAILED',
];

/** "Up to a maximum of five times", whatever that counts. */
const TRIES = 5;
/** SecureChange calls from a pool of threads. */
const CALLERS = 5;

/** SecureChange says in this variable which event it is. */
const BY_VARIABLE = 'SCW_EVENT';

/** Kinds that get a ticket id, and `test` for the Test button, as their argument. */
const WANTS_ID: readonly Kind[] = ['condition', 'assignment'];

export function questionsOfSecureChange({ kind = 'trigger' }: Subject, wishes: Wishes): Question[] {
  const questions = [testButton(kind, wishes)];
  if (kind === 'trigger') {
    const events = wishes.events.length > 0 ? wishes.events : EVENTS;
    questions.push(...events.map((event) => onTicket(kind, event, wishes)));
  } else {
    questions.push(kind === 'risk' ? onDraft(wishes) : onTicket(kind, eventOf(kind, wishes), wishes));
  }
  const repeated = kind === 'risk' ? onDraft(wishes) : onTicket(kind, eventOf(kind, wishes), wishes);
  return [...questions, { ...repeated, name: `${repeated.name}, ${CALLERS} at once`, tries: 1, callers: CALLERS }];
}

/** The event where one has to be chosen; empty: none is set. */
function eventOf(kind: Kind, { events }: Wishes): string {
  return events[0] ?? (kind === 'trigger' ? 'CLOSE' : kind === 'pre-assignment' ? 'PRE_ASSIGNMENT_SCRIPT' : '');
}

function testButton(kind: Kind, { argument }: Wishes): Question {
  const args = WANTS_ID.includes(kind) ? ['test'] : argument === undefined ? [] : [argument];
  return {
    name: 'Test button',
    trigger: BY_VARIABLE,
    call: { args, env: { SCW_EVENT: 'TEST' }, stdin: TEST_TICKET },
    tries: 1,
    callers: 1,
    judge: judgeExit('the test'),
    ticket: '',
  };
}

function onTicket(kind: Kind, event: string, { size = 0, input, argument }: Wishes): Question {
  const { id, xml } = input === undefined ? newTicket(event, size) : ticketFrom(input);
  const args = WANTS_ID.includes(kind) ? [id] : argument === undefined ? [] : [argument];
  return {
    name: event === '' ? kind : event,
    trigger: BY_VARIABLE,
    call: { args, env: event === '' ? {} : { SCW_EVENT: event }, stdin: xml },
    tries: kind === 'trigger' ? TRIES : 1,
    callers: 1,
    judge: answersByExit(kind) ? judgeExit(`the ${kind}`) : judgeAnswer(kind, xml),
    ticket: id,
  };
}

function onDraft({ size = 0, input }: Wishes): Question {
  const xml = input ?? newDraft(size);
  return {
    name: 'risk',
    trigger: BY_VARIABLE,
    call: { args: [], env: {}, stdin: xml },
    tries: 1,
    callers: 1,
    judge: judgeAnswer('risk', xml),
    ticket: '',
  };
}
