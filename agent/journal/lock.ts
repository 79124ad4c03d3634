/** One runner for a state folder. Node has no flock(2), but SQLite locks with fcntl(2): the kernel gives the lock back however its holder ends. */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Failure } from '../../protocol/failures.ts';

/** Takes the lock; the result gives it back. @throws Failure if another process has it */
export function lockState(folder: string): () => void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const database = new DatabaseSync(path.join(folder, 'lock'));
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (cause) {
    database.close();
    throw new Failure('internal', `another runner uses ${folder}; stop it first, or give this one a state folder of its own`, { cause });
  }
  return () => {
    database.close();
  };
}
