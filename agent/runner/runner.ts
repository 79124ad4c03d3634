/** The runner: what its API offers. The life of a run is in life.ts. Long because all that the API offers is in one place. */
import { randomUUID } from 'node:crypto';
import { Failure } from '../../protocol/failures.ts';
import type { Caller } from '../../protocol/messages.ts';
import type { RunFilter } from '../journal/filter.ts';
import type { KeyUse } from '../journal/key-uses.ts';
import { EVENT_PREFIX, Events } from './events.ts';
import type { JournalRow } from '../journal/row.ts';
import type { Kept } from '../keeper/messages.ts';
import { crashPoint } from '../process/crash-point.ts';
import { LOCAL_KEY, type Invocation } from './invocation.ts';
import { knownSecrets } from './environment.ts';
import { maskText, patternsOf } from '../keeper/masking.ts';
import { Ledger } from './ledger.ts';
import { maskedView } from './masked-view.ts';
import { Life, type LifeParts } from './life.ts';
import type { RunnerMetrics } from './metrics.ts';
import { Refusals } from './refusals.ts';
import { Upload } from './upload.ts';
import type { RunView } from './view.ts';

/** After the last orders to end, the longest that a run may take to obey: its grace period and what the kernel needs. */
export const LAST_PATIENCE = 60_000;

export class Runner {
  readonly metrics: RunnerMetrics;
  readonly refusals: Refusals;
  readonly #parts: LifeParts;
  readonly #ledger: Ledger;
  readonly #life: Life;
  readonly #events: Events;
  /** Tokens whose request is complete, and whose run is not in the journal yet. */
  readonly #arriving = new Map<string, { key: string; view: Promise<RunView> }>();
  #draining = false;

  constructor(parts: LifeParts) {
    this.#parts = parts;
    this.metrics = parts.metrics;
    this.refusals = new Refusals(parts.journal);
    this.#ledger = new Ledger(parts);
    this.#life = new Life(parts, this.#ledger);
    this.#events = new Events(parts, this.#ledger, (invocation) => this.submit(invocation));
  }

  get status(): { running: number; queued: number; draining: boolean } {
    return { running: this.#parts.admission.running, queued: this.#parts.admission.queued, draining: this.#draining };
  }

  /** Takes in the stdin of an invocation. */
  upload(): Upload {
    const { spool, config, retention } = this.#parts;
    return new Upload(spool.incoming(randomUUID()), config.limits.stdin, () => retention.checkRoom());
  }

  /** Begins the run of an invocation, or finds the one that its token began before. Resolves when it is in the journal, on the disk: *accepted*. @throws Failure */
  async submit(invocation: Invocation): Promise<RunView> {
    const { token, key } = invocation;
    const arriving = this.#arriving.get(token);
    if (arriving?.key === key) return arriving.view;
    const known = this.#parts.registry.byToken(token, key);
    if (known !== undefined) return known;
    this.#checkOpen();
    const view = this.#begin(invocation);
    this.#arriving.set(token, { key, view });
    return view.finally(() => this.#arriving.delete(token));
  }

  /** @throws Failure `unknown-run`, also if the run belongs to another key */
  byToken(token: string, key: string): RunView {
    const view = this.#parts.registry.byToken(token, key);
    if (view === undefined) throw new Failure('unknown-run', 'the agent knows no run for this token; it may never have been accepted');
    return view;
  }

  /** For operators, without secrets. @throws Failure `unknown-run` */
  byId(id: string): RunView {
    return maskedView(this.#parts.registry.byId(id), this.folder(id));
  }

  /** @throws Failure `unknown-run` */
  row(id: string): JournalRow {
    return this.#parts.registry.row(id);
  }

  /** Where the spool has what a run printed. */
  folder(id: string): string {
    return this.#parts.spool.folder(id);
  }

  list(filter: RunFilter): Promise<JournalRow[]> {
    return this.#parts.journal.list(filter);
  }

  /** The row of a run that goes on has no sizes yet: with what there is to read of it by now. */
  withSizes(row: JournalRow): JournalRow {
    if (row.outcome !== null || this.#parts.registry.liveById(row.id) === undefined) return row;
    const view = this.byId(row.id);
    return { ...row, stdout: view.length('stdout'), stderr: view.length('stderr') };
  }

  /** Takes the secrets of a script, as they are now, out of a text. */
  async maskOf(script: string): Promise<(text: string) => string> {
    const { catalog, config } = this.#parts;
    const names = await catalog.examine(script).then(
      ({ manifest }) => manifest.secrets,
      () => [], // it may be gone
    );
    const patterns = patternsOf(knownSecrets(config, names));
    return (text) => maskText(text, patterns);
  }

  /** Somebody called, with a key or over the Unix socket. */
  noteCaller(caller: Caller | undefined): void {
    if (caller !== undefined) this.#parts.journal.keyUses.note(caller.key, caller.address, caller.previous === true, Date.now());
  }

  keyUses(): KeyUse[] {
    return this.#parts.journal.keyUses.list();
  }

  /** Ends a run by order of an operator. @throws Failure `unknown-run` if it does not go on */
  cancel(id: string, by: string): void {
    const run = this.#parts.registry.liveById(id);
    if (run === undefined) throw new Failure('unknown-run', `run ${this.row(id).id} has ended already`);
    run.end({ outcome: 'cancelled', message: `cancelled by ${by}` });
  }

  /** Begins a new run with the input of an earlier one. @throws Failure */
  async rerun(id: string, token: string): Promise<RunView> {
    const { script, args, env, host, event, stdin } = this.row(id);
    const input = this.#parts.spool.stdinOf(id, stdin);
    const what = { script: script.startsWith(EVENT_PREFIX) ? undefined : script, event, task: undefined, extra: {} };
    return this.submit({ ...what, token, args, env, host, patience: undefined, stdin: input, key: LOCAL_KEY, address: '', rerunOf: id });
  }

  /** A reader has printed everything. */
  acknowledge(view: RunView): void {
    const { journal, log } = this.#parts;
    journal
      .together(() => journal.acknowledge(view.id, Date.now()))
      .catch((error: unknown) => {
        log.warn({ run: view.id, err: error }, 'the journal could not be written: the run is not marked as acknowledged');
      });
  }

  /** Goes on with a run of an earlier runner. Its callers are gone, and may come back. */
  adopt(row: JournalRow, kept: Kept): void {
    this.#life.adopt(row, kept);
    this.callerLost(row);
  }

  /** A caller said that it does not wait any longer. Others, for whom this is the same event, may. */
  callerGaveUp(view: RunView): void {
    const run = this.#parts.registry.liveById(view.id);
    if (run?.onCallerLoss === 'kill' && run.readers === 0)
      run.end({ outcome: 'cancelled', message: 'its caller gave up, and on-caller-loss is kill' });
  }

  /** A connection to the run was lost. It may come back within the resume window. */
  callerLost(view: { id: string }): void {
    const run = this.#parts.registry.liveById(view.id);
    if (run?.onCallerLoss !== 'kill') return;
    setTimeout(() => {
      if (run.readers === 0) run.end({ outcome: 'cancelled', message: 'its caller went away, and on-caller-loss is kill' });
    }, this.#parts.config['resume-window']).unref();
  }

  /** Takes no new runs, waits for those that go on, and cancels what is left after `patience` milliseconds. */
  async drain(patience: number): Promise<void> {
    this.#draining = true;
    const { registry } = this.#parts;
    await registry.idle(patience);
    for (const run of registry.live) run.end({ outcome: 'cancelled', message: 'the agent was stopped' });
    await registry.idle(LAST_PATIENCE);
    const unwritten = this.#ledger.catchUp();
    if (unwritten > 0) this.#parts.log.error({ runs: unwritten }, 'the journal could not be written: in the history, these runs are lost');
  }

  async #begin(invocation: Invocation): Promise<RunView> {
    const checkOpen = (): void => {
      this.#checkOpen();
    };
    const view = await (invocation.script === undefined
      ? this.#events.begin(invocation, checkOpen)
      : this.#life.begin(invocation.script, invocation, checkOpen));
    // A reader from here on: while we wait for the disk, another caller of the same run may give up. By setImmediate its own reading has begun.
    const release = view.subscribe(() => undefined);
    try {
      await this.#parts.journal.flush();
      crashPoint('accepted');
    } finally {
      setImmediate(release);
    }
    return view;
  }

  #checkOpen(): void {
    if (this.#draining) throw new Failure('draining', 'the agent is about to stop and takes no new runs; try again in a moment');
  }
}
