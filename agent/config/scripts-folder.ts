/** The scripts folder as the agent's user finds it: what may not be read is said, with the command that helps, and never passed over. */
import { readFileSync, readdirSync, realpathSync, statSync, type Stats } from 'node:fs';
import path from 'node:path';
import { Failure } from '../../protocol/failures.ts';

/**
 * Paths of all files below it, sorted. Hidden ones are left out, and hidden folders not looked into (.git). Links are followed, but not to a folder that
 * they are in.
 * @throws Failure `cannot-start` for a folder that we may not read
 */
export function filesBelow(root: string): string[] {
  const found: string[] = [];
  const walk = (folder: string, above: readonly string[]): void => {
    const absolute = path.join(root, folder);
    const real = realpathSync(absolute);
    if (above.includes(real)) return;
    for (const entry of readable(absolute, folder, (it) => readdirSync(it, { withFileTypes: true }))) {
      if (entry.name.startsWith('.')) continue;
      const name = path.join(folder, entry.name);
      const kind = entry.isSymbolicLink() ? statOf(path.join(root, name)) : entry;
      if (kind?.isDirectory() === true) walk(name, [...above, real]);
      else if (kind?.isFile() === true) found.push(name);
    }
  };
  walk('', []);
  return found.sort();
}

/** @param name what messages call it. @throws Failure `cannot-start` if we may not read it, or a system error */
export function readBelow(file: string, name: string): Buffer {
  return readable(file, name, (it) => readFileSync(it));
}

function readable<T>(file: string, name: string, read: (file: string) => T): T {
  try {
    return read(file);
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'EACCES')) throw cause;
    throw new Failure('cannot-start', `the agent's user may not read ${name || file}; run: chmod a+rX '${file}'`, { cause });
  }
}

/** Undefined for what vanished, or leads nowhere or to itself. */
function statOf(file: string): Stats | undefined {
  try {
    return statSync(file, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}
