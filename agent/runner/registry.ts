/** Every run there ever was: those that go on in memory, the others in the journal. */
import { Failure } from '../../protocol/failures.ts';
import type { Journal } from '../journal/journal.ts';
import type { JournalRow } from '../journal/row.ts';
import { LOCAL_KEY } from './invocation.ts';
import type { Run } from './run.ts';
import type { Spool } from './spool.ts';
import { archivedRun, type RunView } from './view.ts';

export class Registry {
  readonly #journal: Journal;
  readonly #spool: Spool;
  readonly #byId = new Map<string, Run>();
  readonly #byToken = new Map<string, Run>();

  constructor(journal: Journal, spool: Spool) {
    this.#journal = journal;
    this.#spool = spool;
  }

  /** Runs that go on. */
  get live(): Run[] {
    return [...this.#byId.values()];
  }

  add(run: Run): void {
    this.#byId.set(run.id, run);
    this.#byToken.set(run.token, run);
  }

  /** One more invocation reads the run. */
  attach(run: Run, token: string): void {
    this.#byToken.set(token, run);
  }

  remove(run: Run): void {
    this.#byId.delete(run.id);
    for (const [token, other] of this.#byToken) if (other === run) this.#byToken.delete(token);
  }

  liveById(id: string): Run | undefined {
    return this.#byId.get(id);
  }

  /** For operators: what the script itself printed. @throws Failure `unknown-run` */
  byId(id: string): RunView {
    return this.#byId.get(id) ?? this.#archived(this.row(id), null);
  }

  /** The run that a token began, unless it belongs to another key: a key reads its own runs, whoever may open the Unix socket reads all. */
  byToken(token: string, key: string): RunView | undefined {
    const known = this.#byToken.get(token);
    const row = known === undefined ? this.#journal.byToken(token) : undefined;
    const run = known ?? this.#byId.get(row?.id ?? ''); // one of an earlier runner, by a token that was the same event
    const owner = run?.key ?? row?.key;
    if (key !== LOCAL_KEY && key !== owner) return undefined;
    return run ?? (row === undefined ? undefined : this.forCaller(row));
  }

  /** @throws Failure `unknown-run` */
  row(id: string): JournalRow {
    const row = this.#journal.byId(id);
    if (row === undefined) throw new Failure('unknown-run', `there is no run ${id}; "mediator-agent runs list" shows those that there are`);
    return row;
  }

  /** Resolves when no run goes on any more, or after `patience` milliseconds. */
  async idle(patience: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<void>((resolve) => (timer = setTimeout(resolve, patience)));
    const ends = this.live.filter(({ terminal }) => terminal === undefined).map((run) => untilEnded(run));
    await Promise.race([Promise.all(ends), timeout]);
    clearTimeout(timer);
  }

  /** A run that has ended as its caller sees it. */
  forCaller(row: JournalRow): RunView {
    return this.#archived(row, row.reply);
  }

  /** The same for a caller that has not seen any of it: what is not kept any more is not missed. */
  forNewCaller(row: JournalRow): RunView {
    if (row.removed === null) return this.forCaller(row);
    return this.#archived(
      { ...row, stdout: 0, stderr: 0, message: 'this event was done before; its output is not kept any more' },
      row.reply,
    );
  }

  #archived(row: JournalRow, reply: Buffer | null): RunView {
    return archivedRun(this.#spool.folder(row.id), row, reply);
  }
}

function untilEnded(run: Run): Promise<void> {
  return new Promise((resolve) => {
    const unsubscribe = run.subscribe(() => {
      if (run.terminal === undefined) return;
      unsubscribe();
      resolve();
    });
  });
}
