/** What is kept of runs that have ended, and whether there is room for another one. A run that goes on is never touched. */
import { statfsSync } from 'node:fs';
import { setImmediate as breathe } from 'node:timers/promises';
import { Failure } from '../../protocol/failures.ts';
import type { Config } from '../config/config.ts';
import type { Journal } from '../journal/journal.ts';
import type { Spooled } from '../journal/pruning.ts';
import type { Logger } from '../log.ts';
import type { Registry } from './registry.ts';
import { diskSize, type Spool } from './spool.ts';

/** Between two looks at what there is, in milliseconds. */
const INTERVAL = 5000;
/** A run that nobody acknowledged keeps its output for so long, however much it is: its stub may be on its way back. Milliseconds. */
const RESUMABLE = 15 * 60_000;
/** Runs that are looked at before others get their turn on the event loop: 3 ms. */
const PAGE = 500;
/** Pages of rows that are forgotten at a time. */
const PAGES = 20;

export interface RetentionParts {
  config: Pick<Config, 'retention' | 'limits' | 'state'>;
  log: Logger;
  journal: Journal;
  spool: Spool;
  registry: Registry;
}

export class Retention {
  readonly #parts: RetentionParts;
  /** Bytes on disk of runs that have ended, up to a place in the chain. */
  used = 0;
  #counted = 0;
  #spoolIsFull = false;
  /** Why there is no room; undefined while there is. */
  #shortage: string | undefined;

  constructor(parts: RetentionParts) {
    this.#parts = parts;
  }

  /** Looks again and again until the result is called, which resolves when no look is going on any more. */
  start(): () => Promise<void> {
    const { log } = this.#parts;
    let looking = this.#removeStrangers();
    const look = (): void => {
      looking = looking
        .then(() => this.look())
        .catch((error: unknown) => {
          log.error({ err: error }, 'retention could not do its work; it tries again');
        });
    };
    look();
    const timer = setInterval(look, INTERVAL).unref();
    return () => {
      clearInterval(timer);
      return looking;
    };
  }

  /** @throws Failure `spool-full` */
  checkRoom(): void {
    this.#assess();
    if (this.#shortage !== undefined) throw new Failure('spool-full', this.#shortage);
  }

  /** Removes what is too old or too much. */
  async look(): Promise<void> {
    const { retention } = this.#parts.config;
    const { pruning, refusals } = this.#parts.journal;
    await this.#count();
    const now = Date.now();
    for await (const run of this.#ended()) {
      if (run.ended >= now - retention['spool-age']) break;
      await this.#remove(run, 'age');
    }
    const inUse = this.#inUse();
    for await (const run of this.#ended()) {
      if (this.used + inUse <= retention['spool-size']) break;
      if (run.acknowledged !== null || run.ended < now - RESUMABLE) await this.#remove(run, 'size');
    }
    this.#spoolIsFull = this.used + inUse > retention['spool-size'];
    this.#assess();
    for (let page = 0; page < PAGES; page += 1) {
      if (pruning.forget(now - retention['journal-age'], retention['journal-runs'], PAGE) === 0) break;
      await breathe();
    }
    refusals.forget(now - retention['refused-age'], retention['refused-calls']);
  }

  /** Says once that there is no room, and once that there is again. */
  #assess(): void {
    const { log, config } = this.#parts;
    const { bavail, bsize } = statfsSync(config.state);
    const before = this.#shortage;
    this.#shortage = undefined;
    if (bavail * bsize < config.limits['disk-free']) {
      this.#shortage = `the disk of ${config.state} has less free than limits.disk-free in agent.yaml demands; free space there`;
    } else if (this.#spoolIsFull) {
      this.#shortage = 'runs that go on fill the spool up to retention.spool-size in agent.yaml; try again later, or allow more';
    }
    if (before === undefined && this.#shortage !== undefined) {
      log.error(
        { free: bavail * bsize, spool: this.used + this.#inUse(), reason: this.#shortage },
        'no room for new runs: they are refused',
      );
    }
    if (before !== undefined && this.#shortage === undefined) log.info({ free: bavail * bsize }, 'room for new runs again');
  }

  /** Takes in what has ended since the last look. */
  async #count(): Promise<void> {
    for await (const run of this.#ended(this.#counted)) {
      this.used += diskSize(run);
      this.#counted = run.seq;
    }
  }

  /** Bytes of runs that go on, with the order of their streams, and of uploads. */
  #inUse(): number {
    const { registry, spool, journal } = this.#parts;
    const sizes = registry.live.map((run) => diskSize({ stdin: 0, stdout: run.printed('stdout'), stderr: run.printed('stderr') }));
    return sizes.reduce((sum, size) => sum + size, 0) + journal.pruning.openStdin + spool.incomingSize();
  }

  async *#ended(after = 0): AsyncGenerator<Spooled> {
    for (let page = this.#parts.journal.pruning.spooled(after, PAGE); page.length > 0;) {
      yield* page;
      await breathe();
      page = this.#parts.journal.pruning.spooled(page.at(-1)?.seq ?? 0, PAGE);
    }
  }

  async #remove(run: Spooled, why: 'age' | 'size'): Promise<void> {
    const { journal, spool, log } = this.#parts;
    journal.pruning.markRemoved(run.id, Date.now()); // first: what is missing without this mark is a mismatch
    await spool.discard(run.id);
    this.used -= diskSize(run);
    log.debug({ run: run.id, why }, 'output of a run removed');
  }

  /** Folders of which the journal knows nothing, or that they should be gone: an earlier process did not come to it. */
  async #removeStrangers(): Promise<void> {
    const { spool, journal } = this.#parts;
    for (const [index, id] of spool.runs().entries()) {
      if (!journal.pruning.keeps(id)) await spool.discard(id);
      if (index % PAGE === 0) await breathe();
    }
  }
}
