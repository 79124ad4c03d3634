/**
 * What retention asks of the journal and does to it. Only to runs that have ended, and always to those that ended first: the chain loses its
 * beginning, and nothing else.
 */
import type { DatabaseSync } from 'node:sqlite';
import { z } from 'zod';
import { firstLink, lastLink } from './chain.ts';
import { transaction } from './schema.ts';

const Spooled = z.object({
  id: z.string(),
  seq: z.number(),
  ended: z.number(),
  acknowledged: z.number().nullable(),
  stdin: z.number(),
  stdout: z.number(),
  stderr: z.number(),
});
/** A run that has ended and has its folder in the spool. */
export type Spooled = z.output<typeof Spooled>;

const Sum = z.object({ sum: z.number() });
const Oldest = z.object({ id: z.string(), seq: z.number(), link: z.string(), ended: z.number(), removed: z.number().nullable() });

export class Pruning {
  readonly #db: DatabaseSync;
  readonly #spooled;
  readonly #remove;

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#spooled = db.prepare(
      `SELECT id, seq, ended, acknowledged, stdin, stdout, stderr FROM runs
       WHERE seq IS NOT NULL AND seq > ? AND removed IS NULL ORDER BY seq LIMIT ?`,
    );
    this.#remove = db.prepare('UPDATE runs SET removed = ? WHERE id = ? AND removed IS NULL');
  }

  /** Runs that have their folder, in the order in which they ended, after a place in the chain. */
  spooled(after: number, limit: number): Spooled[] {
    return z.array(Spooled).parse(this.#spooled.all(after, limit));
  }

  /** Whether a run is known and has, or should have, its folder. */
  keeps(id: string): boolean {
    return this.#db.prepare('SELECT 1 FROM runs WHERE id = ? AND removed IS NULL').get(id) !== undefined;
  }

  /** Bytes of stdin of the runs that go on or wait. */
  get openStdin(): number {
    return Sum.parse(this.#db.prepare('SELECT coalesce(sum(stdin), 0) AS sum FROM runs WHERE outcome IS NULL').get()).sum;
  }

  /** Notes that a run's folder is being removed. */
  markRemoved(id: string, at: number): void {
    this.#remove.run(at, id);
  }

  /**
   * Forgets up to `limit` of the runs that ended first, as long as they have no folder any more, and ended before a time (milliseconds since the
   * epoch) or are more than `rows`. Returns how many were forgotten.
   */
  forget(before: number, rows: number, limit: number): number {
    const tooMany = lastLink(this.#db).seq - firstLink(this.#db).seq - rows;
    const oldest = this.#db.prepare('SELECT id, seq, link, ended, removed FROM runs WHERE seq IS NOT NULL ORDER BY seq LIMIT ?').all(limit);
    const found = z.array(Oldest).parse(oldest);
    const stays = found.findIndex(({ ended, removed }, index) => removed === null || (ended >= before && index >= tooMany));
    const gone = stays < 0 ? found : found.slice(0, stays);
    const last = gone.at(-1);
    if (last === undefined) return 0;
    const detach = this.#db.prepare('DELETE FROM attachments WHERE run = ?');
    const forget = this.#db.prepare('DELETE FROM runs WHERE id = ?');
    transaction(this.#db, () => {
      for (const { id } of gone) {
        detach.run(id);
        forget.run(id);
      }
      this.#db.prepare('UPDATE chain SET seq = ?, link = ?').run(last.seq, last.link);
    });
    return gone.length;
  }
}
