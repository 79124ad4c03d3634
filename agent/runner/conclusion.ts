/** What the host gets: the script's own output and exit code, or, where its kind owes an answer, that answer checked or what stands in for it. */
import type { Kind } from '../config/kinds.ts';
import { withoutResult } from '../hosts/draft.ts';
import { REPLY_LIMIT, answersOnStdout, checkReply } from '../hosts/reply.ts';
import { SCAN_LIMIT } from '../hosts/scan.ts';
import { standIn } from '../hosts/stand-in.ts';
import type { Ended } from '../keeper/messages.ts';
import { isTest } from './invocation.ts';
import type { Memo } from './memo.ts';
import type { Run } from './run.ts';
import { beginningOf, type Content } from './spool.ts';
import { readSpool } from './view.ts';

/** How the script ended. */
export type Ending = Omit<Ended, 'totals'>;

export interface Conclusion extends Ending {
  /** What callers get as stdout instead of the script's own; null for the script's own. */
  reply: Buffer | null;
}

/** The exit code where a script exited with 0, but its answer is none and nothing may stand in for it. */
const BAD_REPLY = 1;

/** What a script was given and what it printed: up to `most` bytes from the beginning, read only where they are looked into. */
export interface Streams {
  stdin: (most: number) => Buffer;
  stdout: (most: number) => Buffer;
}

export function streamsOf(run: Run, stdin: Content): Streams {
  return {
    stdin: (most) => beginningOf(stdin, most),
    stdout: (most) => (run.printed('stdout') === 0 ? Buffer.alloc(0) : readSpool(run.fileOf('stdout'), 0, most)),
  };
}

export function conclude({ manifest, invocation }: Memo, ending: Ending, { stdin, stdout }: Streams): Conclusion {
  const { kind } = manifest;
  if (kind === undefined) return { ...ending, reply: null };
  let problem = problemOf(ending, kind);
  if (problem === '' && answersOnStdout(kind)) {
    const checked = checkReply(kind, stdout(REPLY_LIMIT + 1), manifest.reply === 'last-json');
    const unanswered = checked.ok ? withoutResult(checked.answer, stdin(SCAN_LIMIT + 1)) : [];
    if (checked.ok && unanswered.length === 0) return { ...ending, message: checked.warning ?? '', reply: checked.stdout };
    problem = checked.ok ? missing(unanswered) : checked.problem;
    // The Test button shows what a script prints; many print an answer only for a ticket.
    if (isTest(invocation)) return { ...ending, message: problem, reply: null };
  }
  if (problem === '') return { ...ending, reply: null };
  const failOpen = manifest['fail-open'] ?? failsOpen(invocation, kind);
  const instead = isOfTask(invocation) ? undefined : standIn(kind, failOpen, problem, stdin);
  if (instead === undefined) return { ...ending, code: ending.code === 0 ? BAD_REPLY : ending.code, message: problem, reply: null };
  const message = `${problem}; the host was answered as fail-open: ${failOpen} demands`;
  return { ...ending, code: instead.code, message, reply: instead.stdout };
}

function missing(uuids: string[]): string {
  return `the answer has no result for ${uuids.length} of the access requests, ${uuids[0]?.slice(0, 64) ?? ''} for one`;
}

/** A task has a fail-open of its own, and nothing but the truth may reach it. */
function isOfTask({ extra }: Memo['invocation']): boolean {
  return extra.MEDIATOR_TASK !== undefined;
}

/** Check Point's own default is true. */
function failsOpen({ host }: Memo['invocation'], kind: Kind): boolean {
  return host === 'checkpoint' || kind === 'before';
}

/** Where the exit code is the answer, any code is one; where stdout is, a script that exits with another code than 0 gave none. */
function problemOf({ outcome, code, message }: Ending, kind: Kind): string {
  if (outcome !== 'exited') return message;
  return code === 0 || !answersOnStdout(kind) ? '' : `the script exited with ${code}`;
}
