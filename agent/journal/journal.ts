/**
 * The journal: the database of runs. A run is in it before its script starts, and is settled in it before a reader hears of its end.
 * Long because every statement on its tables stands here, but for those of retention.
 */
import { mkdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync, type SQLOutputValue } from 'node:sqlite';
import { setImmediate as breathe } from 'node:timers/promises';
import { z } from 'zod';
import { Batch } from './batch.ts';
import { lastLink, putIntoChain, type Head } from './chain.ts';
import { queryOf, rangeOf, type RunFilter } from './filter.ts';
import { Flusher } from './flush.ts';
import { KeyUses } from './key-uses.ts';
import { migrate, transaction, write } from './schema.ts';
import { Pruning } from './pruning.ts';
import { Refusals } from './refusals.ts';
import { Row, type JournalRow, type NewRow, type Settlement } from './row.ts';

const TALLY = `SELECT count(*) AS runs, count(*) FILTER (WHERE outcome IS NULL) AS open,
  count(*) FILTER (WHERE outcome IS NOT NULL AND (outcome <> 'exited' OR code <> 0)) AS failed FROM runs WHERE id >= ? AND id < ?`;
/** By token, also of an invocation that was the same event as an earlier one; the newest run of an event. An index for what is not empty is used only where that is said. */
export const BY_TOKEN = 'SELECT * FROM runs WHERE token = :token OR id = (SELECT run FROM attachments WHERE token = :token)';
export const LATEST = "SELECT * FROM runs WHERE identity = ? AND identity <> '' ORDER BY id DESC LIMIT 1";
/** Where a piece of the journal begins that is looked through at once. */
const PIECE = 'SELECT id FROM runs WHERE id >= ? AND id < ? ORDER BY id DESC LIMIT 1 OFFSET 2047';
const TallyRow = z.object({ runs: z.number(), open: z.number(), failed: z.number() });
export type Tally = z.output<typeof TallyRow>;

export class Journal {
  readonly #db: DatabaseSync;
  readonly #file: string;
  readonly #flusher: Flusher;
  readonly #batch: Batch;
  /** What retention does. */
  readonly pruning: Pruning;
  readonly keyUses: KeyUses;
  readonly refusals: Refusals;
  #head: Head;
  readonly #insert;
  readonly #start;
  readonly #identify;
  readonly #settle;
  readonly #acknowledge;
  readonly #byId;
  readonly #byToken;
  readonly #attach;
  readonly #latest;
  readonly #open;

  /** Opens the database and brings its schema up to date. @throws Failure if it comes from a later version */
  constructor(file: string) {
    mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
    this.#file = file;
    this.#db = new DatabaseSync(file);
    this.#db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 5000;');
    migrate(this.#db);
    this.#flusher = new Flusher(`${file}-wal`);
    this.pruning = new Pruning(this.#db);
    this.keyUses = new KeyUses(this.#db);
    this.refusals = new Refusals(this.#db);
    this.#head = lastLink(this.#db);
    this.#batch = new Batch(this.#db, () => (this.#head = lastLink(this.#db)));
    const columns =
      'id, token, key, address, script, sha256, manifest_sha256, host, event, ticket, args, env, timeout_ms, stdin, stdin_sha256, rerun_of, accepted, subject, requester, stage, identity';
    const values = columns.replace(/\w+/g, (name) => `:${name}`);
    this.#insert = this.#db.prepare(`INSERT INTO runs (${columns}) VALUES (${values})`);
    this.#start = this.#db.prepare('UPDATE runs SET started = ?, pid = ?, boot = ? WHERE id = ?');
    this.#identify = this.#db.prepare('UPDATE runs SET sha256 = ?, manifest_sha256 = ? WHERE id = ? AND outcome IS NULL');
    this.#settle = this.#db.prepare(
      `UPDATE runs SET outcome = :outcome, code = :code, stdout = :stdout, stderr = :stderr, message = :message, ended = :ended, reply = :reply,
         stdout_sha256 = :stdout_sha256, stderr_sha256 = :stderr_sha256, order_sha256 = :order_sha256,
         started = CASE WHEN :outcome = 'refused' THEN NULL ELSE started END -- it was announced, and did not come to it
       WHERE id = :id AND outcome IS NULL RETURNING *`,
    );
    this.#acknowledge = this.#db.prepare('UPDATE runs SET acknowledged = ? WHERE id = ? AND acknowledged IS NULL');
    this.#byId = this.#db.prepare('SELECT * FROM runs WHERE id = ?');
    this.#byToken = this.#db.prepare(BY_TOKEN);
    this.#attach = this.#db.prepare('INSERT INTO attachments (token, run, key, at) VALUES (?, ?, ?, ?)');
    this.#latest = this.#db.prepare(LATEST);
    this.#open = this.#db.prepare('SELECT * FROM runs WHERE outcome IS NULL ORDER BY id');
  }

  /** @throws if the token is known already; Failure `spool-full`, as all that writes here */
  insert(row: NewRow): void {
    write(() => this.#insert.run({ ...row, args: JSON.stringify(row.args), env: JSON.stringify(row.env) }));
  }

  /** Called before the script is started, with process id 0, and again when its process id is known. */
  start(id: string, started: number, pid: number, boot: string): void {
    write(() => this.#start.run(started, pid, boot, id));
  }

  /** The script was changed while the run waited: this is what runs. */
  identify(id: string, sha256: string, manifestSha256: string): void {
    write(() => this.#identify.run(sha256, manifestSha256, id));
  }

  /** Ends a run and puts it at the end of the chain. Returns its place, or undefined if it had ended already. */
  settle(id: string, settlement: Settlement): Head | undefined {
    const head = write(() =>
      transaction(this.#db, () => {
        const row = this.#settle.get({ id, ...settlement });
        return row === undefined ? undefined : putIntoChain(this.#db, this.#head, row);
      }),
    );
    if (head !== undefined) this.#head = head; // not before it is committed: the disk may be full
    return head;
  }

  /**
   * Carries out what writes here together with what others write in this turn of the event loop. Resolves once it is committed.
   * @throws Failure `spool-full`, or what `work` threw
   */
  together<T>(work: () => T): Promise<T> {
    return this.#batch.add(work);
  }

  /** Resolves when everything that is committed by now would survive a power cut. @throws a system error */
  flush(): Promise<void> {
    return this.#flusher.flush();
  }

  acknowledge(id: string, at: number): void {
    write(() => this.#acknowledge.run(at, id));
  }

  byId(id: string): JournalRow | undefined {
    return parse(this.#byId.get(id));
  }

  byToken(token: string): JournalRow | undefined {
    return parse(this.#byToken.get({ token }));
  }

  /** Notes that an invocation reads the run of an earlier one, being the same event. */
  attach(token: string, run: string, key: string, at: number): void {
    write(() => this.#attach.run(token, run, key, at));
  }

  /** The newest run of an event. */
  latestOf(identity: string): JournalRow | undefined {
    return parse(this.#latest.get(identity));
  }

  /** Runs without an outcome, oldest first. */
  open(): JournalRow[] {
    return this.#open.all().map((row) => Row.parse(row));
  }

  /** Newest first. Piece by piece: in a long journal, others get their turn between two of them. */
  async list(filter: RunFilter): Promise<JournalRow[]> {
    const { sql, values } = queryOf(filter);
    const rows = this.#db.prepare(sql);
    const piece = this.#db.prepare(PIECE);
    const { from, to } = rangeOf(filter);
    const found: JournalRow[] = [];
    for (let end = to; ;) {
      const { id: begin } = piece.get(from, end) ?? {};
      const last = typeof begin !== 'string';
      found.push(...rows.all(last ? from : begin, end, ...values, filter.limit - found.length).map((row) => Row.parse(row)));
      if (last || found.length === filter.limit) return found;
      end = begin;
      await breathe();
    }
  }

  /** Runs whose id is in a range, by how they ended. The range is read along the primary key: keep it small. */
  tally(from: string, to: string): Tally {
    const row = this.#db.prepare(TALLY).get(from, to);
    return TallyRow.parse(row);
  }

  /** Bytes of the database's file. */
  get size(): number {
    return statSync(this.#file).size;
  }

  close(): void {
    this.#batch.run();
    this.keyUses.close();
    this.#db.close();
    this.#flusher.close();
  }
}

function parse(row: Record<string, SQLOutputValue> | undefined): JournalRow | undefined {
  return row === undefined ? undefined : Row.parse(row);
}
