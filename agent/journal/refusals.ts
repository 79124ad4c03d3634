/**
 * Calls that were refused, and of which there is no run: the last ones, for those who look for a run and find none. They are in no chain, and are
 * written when there is time: the log has each of them first.
 */
import type { DatabaseSync } from 'node:sqlite';
import { z } from 'zod';
import { scriptCondition } from './filter.ts';

/** Empty where it was not known yet. */
export const Refusal = z.object({
  /** Milliseconds since the epoch. */
  at: z.number(),
  key: z.string(),
  address: z.string(),
  /** As it was called. */
  script: z.string(),
  host: z.string(),
  event: z.string(),
  ticket: z.string(),
  /** Of protocol/failures.ts. */
  code: z.string(),
  reason: z.string(),
});
export type Refusal = z.output<typeof Refusal>;

export interface RefusalFilter {
  /** Those of a call whose ticket was not known yet are among them. */
  ticket?: string | undefined;
  script?: string | undefined;
  event?: string | undefined;
  key?: string | undefined;
  code?: string | undefined;
  /** Then or later, in milliseconds since the epoch. */
  since?: number | undefined;
  /** Before. */
  until?: number | undefined;
  limit: number;
}

/** Also those of which no ticket was known, where there may have been one. */
const OF_TICKET = "(ticket = ? OR (ticket = '' AND host IN ('', 'securechange')))";

export class Refusals {
  readonly #db: DatabaseSync;
  readonly #insert;

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#insert = db.prepare(
      `INSERT INTO refusals (at, key, address, script, host, event, ticket, code, reason)
       VALUES (:at, :key, :address, :script, :host, :event, :ticket, :code, :reason)`,
    );
  }

  add(refusal: Refusal): void {
    this.#insert.run({ ...refusal });
  }

  /** Newest first. */
  list({ ticket, script, event, key, code, since, until, limit }: RefusalFilter): Refusal[] {
    const fields = [
      [OF_TICKET, ticket],
      ['event = ?', event],
      ['key = ?', key],
      ['code = ?', code],
      ['at >= ?', since],
      ['at < ?', until],
    ] as const;
    const parts = fields.flatMap(([condition, value]) => (value === undefined ? [] : [{ condition, values: [value] }]));
    const all = script === undefined ? parts : [...parts, scriptCondition(script)];
    const where = all.length === 0 ? '' : `WHERE ${all.map(({ condition }) => condition).join(' AND ')}`;
    const rows = this.#db.prepare(`SELECT * FROM refusals ${where} ORDER BY id DESC LIMIT ?`);
    return rows.all(...all.flatMap(({ values }) => values), limit).map((row) => Refusal.parse(row));
  }

  /**
   * Forgets those before a time (milliseconds since the epoch), and those that are more than `most`: the oldest of the key that has most of them, so that
   * a key that is refused again and again pushes its own out, and nobody else's.
   */
  forget(before: number, most: number): void {
    this.#db.prepare('DELETE FROM refusals WHERE at < ?').run(before);
    this.#db
      .prepare(
        `DELETE FROM refusals WHERE id IN (
           SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY key ORDER BY id DESC) AS place FROM refusals)
           ORDER BY place, id DESC LIMIT -1 OFFSET ?)`,
      )
      .run(most);
  }
}
