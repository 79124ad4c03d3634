/** When each key was used last. One row a key, written at most once a minute: a key that is used a thousand times a second costs nothing. */
import type { DatabaseSync } from 'node:sqlite';
import { z } from 'zod';

/** Milliseconds. What a crash forgets. */
const SAVE_EVERY = 60_000;

const KeyUse = z.object({
  key: z.string(),
  address: z.string(),
  /** Milliseconds since the epoch. */
  at: z.number(),
  /** The same of the secrets that a rotation has replaced. */
  previous_at: z.number().nullable(),
});
export type KeyUse = z.output<typeof KeyUse>;

export class KeyUses {
  readonly #insert;
  readonly #uses: Map<string, KeyUse & { saved: number }>;

  constructor(db: DatabaseSync) {
    this.#insert = db.prepare('INSERT OR REPLACE INTO key_uses (key, address, at, previous_at) VALUES (:key, :address, :at, :previous_at)');
    const rows = db.prepare('SELECT * FROM key_uses').all();
    this.#uses = new Map(rows.map((row) => KeyUse.parse(row)).map((use) => [use.key, { ...use, saved: use.at }]));
  }

  note(key: string, address: string, previous: boolean, at: number): void {
    const known = this.#uses.get(key);
    const previousAt = previous ? at : (known?.previous_at ?? null);
    const isNew = known === undefined || (previous && known.previous_at === null);
    const use = { key, address, at, previous_at: previousAt };
    const saved = (isNew || at - known.saved >= SAVE_EVERY) && this.#save(use) ? at : (known?.saved ?? -Infinity);
    this.#uses.set(key, { ...use, saved });
  }

  list(): KeyUse[] {
    return [...this.#uses.values()].map(({ key, address, at, previous_at }) => ({ key, address, at, previous_at }));
  }

  /** Writes what was not written yet. */
  close(): void {
    for (const { saved, ...use } of this.#uses.values()) if (saved !== use.at) this.#save(use);
  }

  /** No call is refused, and no end delayed, because the disk is full and this cannot be noted. */
  #save({ key, address, at, previous_at }: KeyUse): boolean {
    try {
      this.#insert.run({ key, address, at, previous_at });
      return true;
    } catch {
      return false;
    }
  }
}
