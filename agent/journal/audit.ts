/** The journal as somebody reads it who does not trust it: another process, beside a running agent or without one, that only reads. */
import { accessSync, constants, statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { z } from 'zod';
import { Failure } from '../../protocol/failures.ts';
import { firstLink, nextLink, type Head, type RawRow } from './chain.ts';
import { MIGRATIONS } from './migrations.ts';
import { Row, type JournalRow } from './row.ts';
import { versionOf } from './schema.ts';

/** Rows read at a time. Short reads: a long one would keep the agent from cleaning its write-ahead log. */
const PAGE = 500;

export interface Link {
  row: JournalRow;
  /** What its link has to be, after the row before; undefined if that one's place is not just before. */
  expected: string | undefined;
}

export class Audit {
  readonly #db: DatabaseSync;

  /** @throws Failure if there is no journal, or one of another version */
  constructor(file: string) {
    if (statSync(file, { throwIfNoEntry: false }) === undefined)
      throw new Failure('internal', `there is no journal at ${file}; "mediator-agent serve" makes one`);
    accessSync(file, constants.R_OK); // SQLite would not say why
    this.#db = new DatabaseSync(file, { readOnly: true });
    this.#db.exec('PRAGMA busy_timeout = 5000');
    const version = versionOf(this.#db);
    if (version === MIGRATIONS.length) return;
    this.#db.close();
    throw new Failure(
      'internal',
      `the journal has schema version ${version}, and this is ${MIGRATIONS.length}; start the agent of this version once`,
    );
  }

  /** What the first run in the journal continues: nothing, or the last one that retention has taken away. */
  get beginning(): Head {
    return firstLink(this.#db);
  }

  /**
   * The chain from its beginning: every run that has ended, in the order of the ends.
   * @param onUnreadable told of each row that no agent can have written; what follows is compared with the link that it has
   */
  *chain(onUnreadable: (id: string) => void): Generator<Link> {
    let head: Head = firstLink(this.#db);
    const page = this.#db.prepare(`SELECT * FROM runs WHERE seq IS NOT NULL AND seq > ? ORDER BY seq LIMIT ${PAGE}`);
    for (let rows = page.all(head.seq); rows.length > 0; rows = page.all(head.seq)) {
      for (const raw of rows) {
        const place = Place.parse(raw);
        const row = readable(raw);
        const next = nextLink(head, raw);
        if (row === undefined) onUnreadable(place.id);
        else yield { row, expected: next.seq === row.seq ? next.link : undefined };
        head = place;
      }
    }
  }

  /** A run as it is now. */
  byId(id: string): JournalRow | undefined {
    const row = this.#db.prepare('SELECT * FROM runs WHERE id = ?').get(id);
    return row === undefined ? undefined : Row.parse(row);
  }

  /** Runs that have an outcome and no place in the chain: somebody else has put them there. */
  strangers(): string[] {
    const rows = this.#db.prepare(`SELECT id FROM runs WHERE seq IS NULL AND outcome IS NOT NULL LIMIT ${PAGE}`).all();
    return rows.map(({ id }) => String(id));
  }

  /** What SQLite finds wrong with the structure of the file; empty if nothing. Reads all of it. */
  faults(): string[] {
    const rows = z.array(z.object({ quick_check: z.string() })).parse(this.#db.prepare('PRAGMA quick_check(5)').all());
    return rows.flatMap((row) => row.quick_check.split('\n')).filter((line) => line !== 'ok' && !line.startsWith('***'));
  }

  /** Runs that go on. */
  get open(): number {
    return z.object({ count: z.number() }).parse(this.#db.prepare('SELECT count(*) AS count FROM runs WHERE outcome IS NULL').get()).count;
  }

  close(): void {
    this.#db.close();
  }
}

/** Of a row of which nothing else can be relied on. */
const Place = z.object({ id: z.string(), seq: z.number(), link: z.string() });

function readable(raw: RawRow): JournalRow | undefined {
  try {
    return Row.parse(raw);
  } catch {
    return undefined;
  }
}

/** Of the library in this Node. */
export function sqliteVersion(): string {
  const memory = new DatabaseSync(':memory:');
  try {
    return z.object({ version: z.string() }).parse(memory.prepare('SELECT sqlite_version() AS version').get()).version;
  } finally {
    memory.close();
  }
}
