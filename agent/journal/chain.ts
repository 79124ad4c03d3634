/**
 * The chain over the runs that have ended. Each one's link is a digest of its row and of the link before, in the order in which they ended: a row
 * that is changed, removed or put in afterwards breaks it. Who can write the journal could make a whole new chain; that is why every link is also
 * in the log, which leaves the machine, and `runs verify --head` compares.
 */
import { createHash } from 'node:crypto';
import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import { z } from 'zod';

/** A row as SQLite gives it. */
export type RawRow = Record<string, SQLOutputValue>;

const Head = z.object({ seq: z.number(), link: z.string() });
/** The place and the link of one run. Of the empty chain: 0 and nothing. */
export type Head = z.output<typeof Head>;

/**
 * What a link covers, in this order. Not `acknowledged` and `removed`, which come after the end. Never changed: links that were made would not
 * fit any more. A column that came later is put behind, where a run has it: see {@link nextLink}.
 */
const LINKED = [
  ...['id', 'token', 'key', 'address', 'script', 'sha256', 'host', 'event', 'ticket', 'subject', 'requester', 'stage', 'identity'],
  ...['args', 'env', 'timeout_ms', 'rerun_of', 'accepted', 'started', 'ended', 'pid', 'boot', 'outcome', 'code', 'message'],
  ...['stdin', 'stdin_sha256', 'stdout', 'stdout_sha256', 'stderr', 'stderr_sha256', 'reply'],
];
/** Columns of later versions; null in runs from before, whose links do not cover them. */
const LATER = ['manifest_sha256', 'order_sha256'];

/** The link of the run that ended next. */
export function nextLink({ seq, link }: Head, row: RawRow): Head {
  const later = LATER.filter((name) => (row[name] ?? null) !== null);
  const fields = [...LINKED, ...later].map((name) => {
    const value = row[name];
    return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value;
  });
  const text = JSON.stringify([link, seq + 1, ...fields]);
  return { seq: seq + 1, link: createHash('sha256').update(text).digest('hex') };
}

/** Puts a run that has ended at the end of the chain. */
export function putIntoChain(db: DatabaseSync, head: Head, row: RawRow): Head {
  const { seq, link } = nextLink(head, row);
  db.prepare('UPDATE runs SET seq = ?, link = ? WHERE id = ?').run(seq, link, row.id ?? '');
  return { seq, link };
}

/** The end of the chain: of the last run in it, or of the last that retention has taken away. */
export function lastLink(db: DatabaseSync): Head {
  const last = db.prepare('SELECT seq, link FROM runs WHERE seq IS NOT NULL ORDER BY seq DESC LIMIT 1').get();
  return last === undefined ? firstLink(db) : Head.parse(last);
}

/** What the first run in the journal continues. */
export function firstLink(db: DatabaseSync): Head {
  return Head.parse(db.prepare('SELECT seq, link FROM chain').get());
}

/** For a journal from before there was a chain. */
export function chainAll(db: DatabaseSync): void {
  let head = firstLink(db);
  for (const row of db.prepare('SELECT * FROM runs WHERE outcome IS NOT NULL ORDER BY id').all()) head = putIntoChain(db, head, row);
}
