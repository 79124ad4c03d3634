/** The runner's numbers. */
import { statfsSync } from 'node:fs';
import type { FailureCode } from '../../protocol/failures.ts';
import type { Outcome } from '../../protocol/outcomes.ts';
import { Bounded, Metrics } from '../admin/metrics.ts';
import { REFUSALS, addProcessMetrics } from '../admin/process-metrics.ts';
import { version } from '../config/version.ts';

/** Scripts that have numbers of their own; the others share the name `other`. */
const SCRIPTS = 200;
/** Seconds: from a script that does nothing to one that makes a report. */
const DURATIONS = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 60, 120, 300, 900, 3600];

interface Live {
  script: string;
  /** Monotonic milliseconds. */
  accepted: number;
  started: number | undefined;
}

export class RunnerMetrics {
  readonly all = new Metrics();
  readonly #scripts = new Bounded(SCRIPTS);
  readonly #live = new Map<string, Live>();
  readonly #runs = this.all.counter(
    'mediator_runs_total',
    'Runs that have ended, by script and outcome. result is ok for exit code 0, else failed.',
  );
  readonly #duration = this.all.histogram('mediator_run_duration_seconds', 'From the start of a script to the end of its run.', DURATIONS);
  readonly #wait = this.all.histogram('mediator_run_wait_seconds', 'From the acceptance of a run to the start of its script.', DURATIONS);
  readonly #attached = this.all.counter(
    'mediator_retries_joined_total',
    'Calls that were the same event as an earlier run and started none.',
  );
  readonly #refusals = this.all.counter(...REFUSALS);

  constructor() {
    addProcessMetrics(this.all, 'runner', version());
  }

  accepted(run: string, script: string): void {
    this.#live.set(run, { script: this.#scripts.of(script), accepted: performance.now(), started: undefined });
  }

  started(run: string): void {
    const live = this.#live.get(run);
    if (live === undefined) return;
    live.started = performance.now();
    this.#wait({}, (live.started - live.accepted) / 1000);
  }

  ended(run: string, outcome: Outcome, code: number): void {
    const live = this.#live.get(run);
    if (live === undefined) return;
    this.#live.delete(run);
    this.#count(live.script, outcome, code);
    if (live.started !== undefined) this.#duration({ script: live.script }, (performance.now() - live.started) / 1000);
  }

  /** A run that an earlier process left open. */
  recovered(script: string, outcome: Outcome, code: number): void {
    this.#count(this.#scripts.of(script), outcome, code);
  }

  joined(script: string): void {
    this.#attached({ script: this.#scripts.of(script) });
  }

  refused(reason: FailureCode): void {
    this.#refusals({ part: 'runner', reason });
  }

  /** What is read at each scrape. @param state the state folder, whose disk is looked at */
  watch(state: string, now: () => Gauges): void {
    const { all } = this;
    all.gauge('mediator_runs_running', 'Runs whose script runs.', () => now().running);
    all.gauge('mediator_runs_running_limit', 'limits.concurrency in agent.yaml.', () => now().concurrency);
    all.gauge('mediator_runs_queued', 'Runs that wait for their turn.', () => now().queued);
    all.gauge('mediator_runs_queued_limit', 'limits.queue in agent.yaml.', () => now().queue);
    all.gauge('mediator_draining', '1 while the agent is about to stop and takes no new runs.', () => Number(now().draining));
    all.gauge('mediator_readers', 'Connections to the runner: stubs, the command line, the page.', () => now().readers);
    all.gauge('mediator_spool_bytes', 'Input and output of runs that have ended, as the spool keeps them.', () => now().spool);
    all.gauge('mediator_journal_bytes', 'The database of runs, without its log.', () => now().journal);
    all.gauge('mediator_disk_free_bytes', 'Room on the disk of the state folder.', () => {
      const { bavail, bsize } = statfsSync(state);
      return bavail * bsize;
    });
    all.gauge('mediator_disk_bytes', 'Size of the disk of the state folder.', () => {
      const { blocks, bsize } = statfsSync(state);
      return blocks * bsize;
    });
    all.gauge('mediator_disk_free_inodes', 'Files that can still be made on the disk of the state folder.', () => statfsSync(state).ffree);
  }

  #count(script: string, outcome: Outcome, code: number): void {
    this.#runs({ script, outcome, result: outcome === 'exited' && code === 0 ? 'ok' : 'failed' });
  }
}

export interface Gauges {
  running: number;
  queued: number;
  draining: boolean;
  concurrency: number;
  queue: number;
  readers: number;
  /** Bytes. */
  journal: number;
  spool: number;
}
