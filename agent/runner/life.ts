/**
 * The life of a run, from top to bottom: it is planned, recorded (*accepted*), waits for its slot, is executed, and settles.
 * Long because it is the one story that everything else serves.
 */
import { monotonicFactory } from 'ulid';
import { Failure, exitCodeOf } from '../../protocol/failures.ts';
import { EXIT_CANCELLED } from '../../protocol/outcomes.ts';
import type { Catalog, Script } from '../catalog/catalog.ts';
import type { Config } from '../config/config.ts';
import { answersOnStdout } from '../hosts/reply.ts';
import type { JournalRow } from '../journal/row.ts';
import { removeEnding } from '../keeper/ending-file.ts';
import { maskText, patternsOf } from '../keeper/masking.ts';
import type { Kept } from '../keeper/messages.ts';
import { spoolFailure } from '../keeper/spool-file.ts';
import { crashPoint } from '../process/crash-point.ts';
import { queuePatience, type Admission, type Job } from './admission.ts';
import { conclude, streamsOf, type Ending } from './conclusion.ts';
import { endingOf, execute, obey } from './execution.ts';
import { checkInput, inputOf } from './input.ts';
import { earlierRun } from './earlier-run.ts';
import { isTest, mayJoin, type Invocation } from './invocation.ts';
import { eventInfo, maskEvent } from './event-info.ts';
import type { KeeperLink } from './keeper-link.ts';
import type { Ledger, LedgerParts, Recorded, Subject } from './ledger.ts';
import { Memo, memoOf } from './memo.ts';
import { knownSecrets } from './environment.ts';
import { planRun, type Plan } from './plan.ts';
import { bootId, treeOf } from './recovery.ts';
import type { Content } from './spool.ts';
import type { RunView } from './view.ts';

export interface LifeParts extends LedgerParts {
  config: Config;
  catalog: Catalog;
  keeper: KeeperLink;
  admission: Admission;
}

/** What is known of a run from its acceptance on. */
interface Accepted extends Recorded {
  script: Script;
  plan: Plan;
  invocation: Invocation;
}

export class Life {
  readonly #parts: LifeParts;
  readonly #ledger: Ledger;
  readonly #newId = monotonicFactory();

  constructor(parts: LifeParts, ledger: Ledger) {
    this.#parts = parts;
    this.#ledger = ledger;
  }

  /**
   * Begins a run, or finds the one of the same event. Resolves when it is in the journal; the rest happens by itself.
   * @param name of the script, as it was called
   * @param checkOpen throws if no run may begin any more
   * @throws Failure, and then nothing was started and nothing is left behind
   */
  async begin(name: string, invocation: Invocation, checkOpen: () => void): Promise<RunView> {
    const script = await this.#parts.catalog.resolve(name);
    const event = await eventInfo(script.name, invocation);
    checkOpen();
    checkInput(invocation, script.manifest);
    const id = this.#newId();
    const plan = planRun(id, script, invocation, this.#parts.config);
    const earlier = joinsRetries(script, invocation) ? earlierRun(this.#parts, event.identity, invocation) : undefined;
    if (earlier !== undefined) return earlier;
    const job = jobOf(script, invocation.key, event.ticket.id);
    this.#parts.admission.checkRoom(job);
    const accepted = {
      ...this.#ledger.record(id, subjectOf(script, plan), invocation, maskEvent(event, patternsOf(Object.values(plan.secrets)))),
      script,
      plan,
      invocation,
    };
    if (isFiltered(script, invocation)) {
      void this.#ledger.settle(accepted, {
        outcome: 'exited',
        code: 0,
        message: 'not run: the manifest does not name this event',
        survivors: [],
        reply: null,
      });
    } else {
      this.#enqueue(accepted, job);
    }
    return accepted.run;
  }

  #enqueue(accepted: Accepted, job: Omit<Job, 'run'>): void {
    let impatient: NodeJS.Timeout | undefined;
    const leaveQueue = this.#parts.admission.submit({
      ...job,
      run: () => {
        clearTimeout(impatient);
        return this.#carryOut(accepted).catch((error: unknown) => this.#giveUp(accepted, error));
      },
    });
    const { patience } = accepted.invocation;
    if (patience !== undefined) {
      impatient = setTimeout(() => {
        if (leaveQueue()) this.#waitedTooLong(accepted);
      }, queuePatience(patience)).unref();
    }
    accepted.run.obeyWith(({ outcome, message }) => {
      if (!leaveQueue()) return;
      clearTimeout(impatient);
      void this.#ledger.settle(accepted, {
        outcome,
        code: EXIT_CANCELLED,
        message: `the script was not started: ${message}`,
        survivors: [],
        reply: null,
      });
    });
  }

  #waitedTooLong(accepted: Accepted): void {
    const waited = Math.round((performance.now() - accepted.since) / 1000);
    const message = `it waited ${waited} s for a free slot, longer than its caller does; nothing was started`;
    void this.#ledger.settle(accepted, { outcome: 'refused', code: exitCodeOf('busy'), message, survivors: [], reply: null });
  }

  async #carryOut(accepted: Accepted): Promise<void> {
    const { run, stdin, log, since } = accepted;
    await this.#parts.journal.flush(); // a power cut must not make us forget that it may have started
    const invocation = { ...accepted.invocation, stdin };
    const waited = performance.now() - since;
    const patience = (invocation.patience ?? Infinity) - waited;
    if (patience <= 0) {
      this.#waitedTooLong(accepted);
      return;
    }
    const { script, plan } = await this.#current(accepted);
    const input = inputOf(this.#parts.spool.folder(run.id), invocation, script.manifest);
    const limits = {
      ...plan,
      args: [...plan.leading, ...input.args],
      env: { ...plan.env, ...input.env },
      timeout: Math.min(plan.timeout, patience),
    };
    this.#parts.metrics.started(run.id);
    const { journal } = this.#parts;
    await journal.together(() => journal.start(run.id, Date.now(), 0, '')); // from here on it may have effects, whether or not we live to see its process id
    crashPoint('announced');
    const memo = memoOf(script.manifest, invocation);
    const ending = await execute(run, { ...limits, memo: JSON.stringify(memo) }, input.stdin, this.#parts, (pid) => {
      crashPoint('start-heard');
      this.#noteProcess(accepted, Date.now(), pid);
      log.info({ pid, waited: Math.round(waited) }, 'script started');
      if (!this.#parts.catalog.isCurrent(script)) log.warn('the script was changed as it was started; it may not be what the journal says');
    });
    await this.#conclude(accepted, memo, { ending, secrets: Object.values(plan.secrets) }, false);
  }

  /** What was found when the run was accepted may have been changed while it waited: it is planned anew, and the journal names what runs. */
  async #current({ run, script, plan, invocation }: Accepted): Promise<{ script: Script; plan: Plan }> {
    const { catalog, journal, config } = this.#parts;
    if (catalog.isCurrent(script)) return { script, plan };
    const now = await catalog.resolve(script.name);
    if (answersOnStdout(now.manifest.kind) !== answersOnStdout(script.manifest.kind))
      throw new Failure('unsettled-script', `the kind of ${script.name} was changed while the run waited; nothing was started, call again`);
    journal.identify(run.id, now.sha256, now.manifestSha256);
    return { script: now, plan: planRun(run.id, now, invocation, config) };
  }

  /** Goes on with a run that an earlier runner has started and the keeper has kept. */
  adopt(row: JournalRow, kept: Kept): void {
    const { spool, keeper, admission, config } = this.#parts;
    const memo = Memo.parse(JSON.parse(kept.memo));
    const { 'on-caller-loss': onCallerLoss, kind } = memo.manifest;
    const recorded = this.#ledger.readopt(row, { onCallerLoss, held: answersOnStdout(kind) });
    const { run } = recorded;
    const watch = {
      onStarted: (pid: number) => this.#noteProcess(recorded, row.started ?? Date.now(), pid),
      onOutput: (lengths: Kept['lengths']) => run.grew(lengths),
    };
    run.grew(kept.lengths);
    obey(run, keeper);
    const goOn = async (): Promise<void> => {
      const ended = await keeper.resume(kept, watch);
      const ending = await endingOf(run, ended, { tree: treeOf(row), grace: config.defaults.grace }, { keeper, spool });
      const secrets = knownSecrets(config, memo.manifest.secrets);
      await this.#conclude({ ...recorded, stdin: spool.stored(row) }, memo, { ending, secrets }, true);
    };
    const { serialize } = memo.manifest;
    admission.join({ ...jobOf({ name: row.script, manifest: { serialize } }, row.key, row.ticket), run: goOn });
  }

  #noteProcess({ run, log }: Pick<Recorded, 'run' | 'log'>, started: number, pid: number): void {
    const { journal } = this.#parts;
    journal
      .together(() => journal.start(run.id, started, pid, bootId()))
      .catch((error: unknown) => {
        log.warn({ pid, err: error }, 'the journal could not be written: the process id is not in it');
      });
  }

  #conclude(
    recorded: Pick<Recorded, 'run' | 'log'> & { stdin: Content },
    memo: Memo,
    { ending, secrets }: { ending: Ending; secrets: string[] },
    adopted: boolean,
  ): Promise<void> {
    const { id } = recorded.run;
    crashPoint('end-heard');
    const conclusion = conclude(memo, ending, streamsOf(recorded.run, recorded.stdin));
    const message = maskText(conclusion.message, patternsOf(secrets)); // it may quote what the script printed
    return this.#ledger.settle(recorded, { ...conclusion, message }, () => {
      this.#parts.keeper.settled(id);
      if (adopted) removeEnding(this.#parts.spool.folder(id));
    });
  }

  /** An error of ours before the script was started. */
  #giveUp(accepted: Accepted, error: unknown): void {
    const { code, message } = spoolFailure(error);
    void this.#ledger.settle(accepted, { outcome: 'refused', code: exitCodeOf(code), message, survivors: [], reply: null });
  }
}

/** Whether a retry of the event joins its run. */
function joinsRetries({ manifest: { kind, retries } }: Script, invocation: Invocation): boolean {
  const attach = retries === 'attach' || (retries === undefined && (kind === undefined || kind === 'trigger'));
  return attach && mayJoin(invocation);
}

function subjectOf({ name, sha256, manifest, manifestSha256 }: Script, { timeout, forwarded }: Plan): Subject {
  const reading = { onCallerLoss: manifest['on-caller-loss'], held: answersOnStdout(manifest.kind) };
  return { name, sha256, manifestSha256, timeout, ...reading, env: forwarded };
}

function jobOf(
  { name, manifest }: { name: string; manifest: { serialize?: 'ticket' | undefined; concurrency?: number | undefined } },
  key: string,
  ticket: string,
): Omit<Job, 'run'> {
  const serial = manifest.serialize === 'ticket' && ticket !== '' ? ticket : undefined;
  return { script: name, key, scriptLimit: manifest.concurrency ?? Infinity, serial };
}

/** Never the Test button: who presses it wants to see the script. */
function isFiltered({ manifest }: Script, { host, event }: Invocation): boolean {
  return host === 'securechange' && manifest.events !== undefined && !isTest({ host, event }) && !manifest.events.includes(event);
}
