/** A file that a command changes in one step: nobody ever reads half of it, and of two commands at once one is refused. */
import { chownSync, closeSync, fchmodSync, fsyncSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { Failure } from '../../protocol/failures.ts';

export interface Replacement {
  mode: number;
  /** Whether it stays with the user that has it; otherwise it becomes the caller's. */
  keepOwner: boolean;
  /** What holds up a second command, as in "another command … at this moment". */
  busy: string;
  /** What may help whoever cannot write it. */
  hint?: string;
}

/** Replaces a file by what `text` returns, which is called when no other command can change it any more. @throws Failure, and what `text` throws */
export function replaceFile(file: string, { mode, keepOwner, ...told }: Replacement, text: () => string): void {
  const draft = `${file}.new`;
  const fd = claim(draft, told);
  try {
    writeSync(fd, text());
    fchmodSync(fd, mode); // whatever the umask
    fsyncSync(fd);
    const owner = keepOwner ? statSync(file, { throwIfNoEntry: false }) : undefined;
    if (owner !== undefined && process.geteuid?.() !== owner.uid) chownSync(draft, owner.uid, owner.gid);
    renameSync(draft, file);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
}

function claim(draft: string, { busy, hint }: Pick<Replacement, 'busy' | 'hint'>): number {
  try {
    return openSync(draft, 'wx', 0o600);
  } catch (cause) {
    const reason =
      cause instanceof Error && 'code' in cause && cause.code === 'EEXIST'
        ? `another command ${busy} at this moment; if none does, one was interrupted: remove that file`
        : [Failure.from(cause).message.replace(`${draft} `, ''), hint].filter(Boolean).join('; ');
    throw new Failure('internal', `${draft}: ${reason}`, { cause });
  }
}
