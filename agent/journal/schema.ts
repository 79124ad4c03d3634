/** The schema of a journal's file, brought up to date; and its transactions. */
import type { DatabaseSync } from 'node:sqlite';
import { z } from 'zod';
import { Failure } from '../../protocol/failures.ts';
import { chainAll } from './chain.ts';
import { CHAINED, MIGRATIONS } from './migrations.ts';

export function versionOf(db: DatabaseSync): number {
  return z.object({ user_version: z.number() }).parse(db.prepare('PRAGMA user_version').get()).user_version;
}

/** @throws Failure if the file comes from a later version */
export function migrate(db: DatabaseSync): void {
  const version = versionOf(db);
  if (version > MIGRATIONS.length) {
    throw new Failure(
      'internal',
      `the journal has schema version ${version}, this agent knows up to ${MIGRATIONS.length}; install a newer one`,
    );
  }
  for (const [index, step] of MIGRATIONS.entries()) {
    if (index < version) continue;
    transaction(db, () => {
      db.exec(step);
      if (index + 1 === CHAINED) chainAll(db);
      db.exec(`PRAGMA user_version = ${index + 1}`);
    });
  }
}

/** Result codes of SQLite: SQLITE_FULL, and SQLITE_IOERR_SHMSIZE, which is the same for its shared memory. */
const FULL = [13, 4874];

/** Does what writes. @throws Failure `spool-full` if the disk is full */
export function write<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof Error) || !('errcode' in error) || !FULL.some((code) => code === error.errcode)) throw error;
    throw new Failure('spool-full', 'the disk of the agent is full; free space below its state folder', { cause: error });
  }
}

/** All of the work or nothing of it, together with the transaction that goes on, if one does. */
export function transaction<T>(db: DatabaseSync, work: () => T): T {
  if (db.isTransaction) return work();
  db.exec('BEGIN IMMEDIATE');
  try {
    const result = work();
    db.exec('COMMIT');
    return result;
  } catch (error) {
    rollBack(db);
    throw error;
  }
}

/** Unless the error has done so already (a full disk may). */
function rollBack(db: DatabaseSync): void {
  if (db.isTransaction) db.exec('ROLLBACK');
}
