/**
 * The beginning and the end of a run: in spool, journal, registry and log, in the order in which nothing can be lost. Long because that order is
 * seen only in one place.
 */
import type { Head } from '../journal/chain.ts';
import type { Journal } from '../journal/journal.ts';
import type { JournalRow } from '../journal/row.ts';
import { totalsOf } from '../keeper/digest.ts';
import type { Logger } from '../log.ts';
import { crashPoint } from '../process/crash-point.ts';
import type { Conclusion } from './conclusion.ts';
import type { EventInfo } from './event-info.ts';
import type { Invocation } from './invocation.ts';
import type { RunnerMetrics } from './metrics.ts';
import type { Registry } from './registry.ts';
import { Run } from './run.ts';
import type { Retention } from './retention.ts';
import type { Spool, Stdin } from './spool.ts';
import { outcomeForCaller } from './view.ts';

export interface LedgerParts {
  retention: Retention;
  metrics: RunnerMetrics;
  log: Logger;
  journal: Journal;
  spool: Spool;
  registry: Registry;
}

/** What a run runs: a script as resolved, or `event:NAME`. */
export interface Subject {
  name: string;
  sha256: string;
  /** Empty if there is no manifest. */
  manifestSha256: string;
  /** Milliseconds. */
  timeout: number;
  onCallerLoss: 'finish' | 'kill';
  /** Callers get nothing of stdout before the end. */
  held: boolean;
  /** Forwarded variables that are passed on. */
  env: Record<string, string>;
}

export interface Recorded {
  run: Run;
  stdin: Stdin;
  log: Logger;
  /** When it was accepted: monotonic milliseconds. */
  since: number;
}

/** Between two attempts to write what could not be written, in milliseconds. */
const RETRY = 2000;

type Reading = Pick<Subject, 'onCallerLoss' | 'held'>;
type Named = Pick<JournalRow, 'id' | 'script' | 'token' | 'key' | 'ticket'>;
type Registered = Pick<Recorded, 'run' | 'log'>;

export class Ledger {
  readonly #parts: LedgerParts;
  /** Ends that the journal could not take, oldest first. */
  readonly #unwritten: (() => void)[] = [];
  #trying = false;

  constructor(parts: LedgerParts) {
    this.#parts = parts;
  }

  /** *accepted*: from here on the run is remembered. @throws Failure, and then nothing is left behind */
  record(id: string, subject: Subject, invocation: Invocation, { name: event, identity, ticket }: EventInfo): Recorded {
    const { journal, spool } = this.#parts;
    const { token, key, address, host, args, rerunOf } = invocation;
    crashPoint('request-complete');
    this.#parts.retention.checkRoom();
    const stdin = spool.admit(id, invocation.stdin);
    const origin = { id, token, key, address, host, event, args, env: subject.env, rerun_of: rerunOf };
    const { subject: title, requester, stage } = ticket;
    const about = { ticket: ticket.id, subject: title, requester, stage, identity };
    const { name: script, sha256, manifestSha256: manifest_sha256, timeout: timeout_ms } = subject;
    const what = { script, sha256, manifest_sha256, timeout_ms, stdin: stdin.size, stdin_sha256: stdin.sha256 };
    crashPoint('stdin-admitted');
    try {
      journal.insert({ ...origin, ...about, ...what, accepted: Date.now() });
    } catch (error) {
      spool.remove(id);
      throw error;
    }
    crashPoint('recorded');
    const recorded = this.#register({ id, script, token, key, ticket: ticket.id }, subject);
    const known = ticket.id === '' ? {} : { stage, requester };
    recorded.log.info({ host, event, address, stdin: stdin.size, ...known }, 'run accepted');
    return { ...recorded, stdin, since: performance.now() };
  }

  /** A run of an earlier runner that goes on. */
  readopt(row: JournalRow, reading: Reading): Registered {
    const recorded = this.#register(row, reading);
    recorded.log.warn('run taken over from an earlier runner');
    return recorded;
  }

  #register({ id, script, token, key, ticket }: Named, { onCallerLoss, held }: Reading): Registered {
    const { spool, registry } = this.#parts;
    const log = this.#parts.log.child({ run: id, script, key, ...(ticket === '' ? {} : { ticket }) });
    const run = new Run(id, spool.folder(id), { token, key, onCallerLoss, held });
    registry.add(run);
    this.#parts.metrics.accepted(id, script);
    return { run, log };
  }

  /** The end: the journal first, then those who wait. A journal that cannot be written now is written as soon as it can. Never rejects. */
  async settle({ run, log }: Registered, { outcome, code, message, survivors, reply }: Conclusion, onWritten?: () => void): Promise<void> {
    const { journal, registry, metrics } = this.#parts;
    const totals = totalsOf(run.totals);
    const { stdout, stderr } = totals;
    const settlement = { outcome, code, ...totals, message, reply, ended: Date.now() };
    const write = (): Head | undefined => journal.settle(run.id, settlement);
    const written = (place: Head | undefined): void => {
      crashPoint('settled');
      registry.remove(run);
      onWritten?.();
      log.info({ outcome, code, stdout, stderr, ...(message === '' ? {} : { reason: message }), ...place }, 'run ended');
    };
    metrics.ended(run.id, outcome, code);
    if (survivors.length > 0) log.error({ survivors }, 'processes of the run outlived KILL');
    try {
      written(await journal.together(write));
      journal.flush().catch((error: unknown) => {
        log.error({ err: error }, 'the disk does not take the journal');
      });
    } catch (error) {
      log.error({ err: error, outcome, code }, 'the journal cannot be written now; the caller is told, and the journal as soon as it can');
      this.#unwritten.push(() => written(write()));
      this.#tryLater();
    }
    run.settle({ outcome: outcomeForCaller(outcome, code), code, stdout: reply?.length ?? stdout, stderr, message }, reply);
  }

  /** Tries to write down the ends that could not be written. Returns how many are left. */
  catchUp(): number {
    while (this.#unwritten.length > 0) {
      try {
        this.#unwritten[0]?.();
        this.#unwritten.shift();
      } catch {
        break; // it was said when it happened
      }
    }
    return this.#unwritten.length;
  }

  #tryLater(): void {
    if (this.#trying) return;
    this.#trying = true;
    setTimeout(() => {
      this.#trying = false;
      if (this.catchUp() > 0) this.#tryLater();
    }, RETRY).unref();
  }
}
