/**
 * What is written in one turn of the event loop goes into one transaction: with many runs at once, most of what a transaction costs is shared.
 * Who must know that it is written waits for it.
 */
import type { DatabaseSync } from 'node:sqlite';
import { transaction, write } from './schema.ts';

interface Entry {
  /** Writes, and returns how to tell that it is written. */
  work: () => () => void;
  fail: (error: unknown) => void;
}

export class Batch {
  readonly #db: DatabaseSync;
  readonly #onRollback: () => void;
  #entries: Entry[] = [];

  /** @param onRollback is called after work was undone that had seemed to succeed */
  constructor(db: DatabaseSync, onRollback: () => void) {
    this.#db = db;
    this.#onRollback = onRollback;
  }

  /**
   * Resolves with what `work` returned, once it is committed. It may be carried out twice: if others of the batch fail, each is tried by itself.
   * @throws Failure `spool-full`, or what `work` threw
   */
  add<T>(work: () => T): Promise<T> {
    if (this.#entries.length === 0) setImmediate(() => this.run());
    return new Promise((resolve, reject) => {
      const entry = (): (() => void) => {
        const result = work();
        return () => resolve(result);
      };
      this.#entries.push({ work: entry, fail: reject });
    });
  }

  /** Writes at once what waits. */
  run(): void {
    const entries = this.#entries;
    this.#entries = [];
    try {
      this.#commit(() => entries.map(({ work }) => work())).forEach((tell) => tell());
    } catch {
      for (const { work, fail } of entries) {
        try {
          this.#commit(work)();
        } catch (error) {
          fail(error);
        }
      }
    }
  }

  #commit<T>(work: () => T): T {
    try {
      return write(() => transaction(this.#db, work));
    } catch (error) {
      this.#onRollback();
      throw error;
    }
  }
}
