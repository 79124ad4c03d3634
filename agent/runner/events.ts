/** An invocation without a script is an event: every enabled task of its trigger runs, and the host gets one answer. */
import { monotonicFactory } from 'ulid';
import { LIMITS } from '../../protocol/constants.ts';
import { EXIT_CANCELLED } from '../../protocol/outcomes.ts';
import { Failure } from '../../protocol/failures.ts';
import { checkTrust } from '../catalog/trust.ts';
import { decodePayload } from '../hosts/payload.ts';
import { answerEvent, decide, goesOn } from '../tasks/aggregate.ts';
import { readTasks } from '../tasks/folder.ts';
import { isBefore, type Task } from '../tasks/task.ts';
import { performTask, type EventInput } from './actions.ts';
import type { Conclusion } from './conclusion.ts';
import { earlierRun } from './earlier-run.ts';
import { mayJoin, type Invocation } from './invocation.ts';
import { eventInfo } from './event-info.ts';
import type { Ledger, Recorded } from './ledger.ts';
import type { LifeParts } from './life.ts';
import type { Run } from './run.ts';
import { beginningOf } from './spool.ts';
import type { RunView } from './view.ts';

/** In place of a script's name in the journal. */
export const EVENT_PREFIX = 'event:';

export class Events {
  readonly #parts: LifeParts;
  readonly #submit: (invocation: Invocation) => Promise<RunView>;
  readonly #ledger: Ledger;
  readonly #newId = monotonicFactory();

  /** @param submit begins the runs of tasks whose action is a script */
  constructor(parts: LifeParts, ledger: Ledger, submit: (invocation: Invocation) => Promise<RunView>) {
    this.#parts = parts;
    this.#submit = submit;
    this.#ledger = ledger;
  }

  /** @param checkOpen throws if no run may begin any more. @throws Failure, and then nothing was started */
  async begin(invocation: Invocation, checkOpen: () => void): Promise<RunView> {
    const { event } = invocation;
    if (event === '') throw new Failure('invalid-name', 'neither a script nor an event was named; name one of them');
    const tasks = this.#tasksFor(invocation);
    const subject = { sha256: '', manifestSha256: '', timeout: 0, onCallerLoss: 'finish', held: false, env: {} } as const;
    const name = EVENT_PREFIX + event;
    const info = await eventInfo(name, invocation);
    checkOpen();
    const earlier = invocation.task === undefined && mayJoin(invocation) ? earlierRun(this.#parts, info.identity, invocation) : undefined;
    if (earlier !== undefined) return earlier;
    inputOf(invocation); // refused before anything is written
    const recorded = this.#ledger.record(this.#newId(), { ...subject, name }, invocation, info);
    this.#parts.metrics.started(recorded.run.id);
    this.#parts.journal.start(recorded.run.id, Date.now(), 0, ''); // it has no process, but it may have effects from here on
    void this.#carryOut(recorded, tasks, { ...invocation, stdin: recorded.stdin });
    return recorded.run;
  }

  #tasksFor({ event, task: only }: Invocation): Task[] {
    const { config, log } = this.#parts;
    const entries = readTasks(config.scripts, checkTrust);
    for (const { file, problem } of entries) if (problem !== '') log.warn({ file, reason: problem }, 'task file cannot be used');
    const usable = entries.flatMap(({ task, problem }) => (task === undefined || problem !== '' ? [] : [task]));
    if (only === undefined) return usable.filter(({ enabled, trigger }) => enabled && trigger === event);
    const found = usable.filter(({ name }) => name === only);
    if (found.length === 0)
      throw new Failure('no-such-script', `there is no usable task "${only}"; "mediator-agent tasks list" shows what there is`);
    return found;
  }

  async #carryOut(recorded: Recorded, tasks: Task[], invocation: Invocation): Promise<void> {
    try {
      await this.#parts.journal.flush();
      await this.#ledger.settle(recorded, await this.#runTasks(recorded.run, tasks, invocation));
    } catch (error) {
      await this.#ledger.settle(recorded, { outcome: 'exited', code: 1, message: Failure.from(error).message, survivors: [], reply: null });
    }
  }

  async #runTasks(run: Run, tasks: Task[], invocation: Invocation): Promise<Conclusion> {
    const stopping = new AbortController();
    run.obeyWith(({ message }) => {
      stopping.abort(new Error(message));
    });
    const input = inputOf(invocation);
    const trigger = invocation.event;
    const note = (text: string): void => {
      run.append('stderr', Buffer.from(`${text}\n`));
    };
    if (tasks.length === 0) note(`no enabled task has the trigger "${trigger}"; nothing was done`);
    let failure: string | undefined;
    for (const task of tasks) {
      if (stopping.signal.aborted) break;
      const result = await performTask(task, input, { ...this.#parts, submit: this.#submit, signal: stopping.signal });
      const decided = decide(result, task['fail-open']);
      note(`task "${task.name}": ${result.state}${decided.message === '' ? '' : `: ${decided.message}`}`);
      if (decided.failed) failure ??= isBefore(trigger) ? decided.message : `task "${task.name}": ${decided.message}`;
      if (!goesOn(trigger, decided)) break;
    }
    if (stopping.signal.aborted) {
      return {
        outcome: 'cancelled',
        code: EXIT_CANCELLED,
        message: Failure.from(stopping.signal.reason).message,
        survivors: [],
        reply: null,
      };
    }
    const { stdout, code } = answerEvent(trigger, failure);
    run.append('stdout', Buffer.from(stdout));
    return { outcome: 'exited', code, message: code === 0 ? '' : (failure ?? ''), survivors: [], reply: null };
  }
}

function inputOf(invocation: Invocation): EventInput {
  const { host, args, stdin } = invocation;
  const payload = host === 'checkpoint' ? (decodePayload(args[0]) ?? beginningOf(stdin, LIMITS.argument + 1)) : undefined;
  if (payload !== undefined && payload.length > LIMITS.argument) {
    throw new Failure('argument-too-long', `the payload has ${stdin.size} bytes; tasks take at most ${LIMITS.argument}`);
  }
  return { invocation, stdin, payload };
}
