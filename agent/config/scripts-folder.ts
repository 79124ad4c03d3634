/** The scripts folder as the agent's user finds it: what may not be read is said, with the command that helps, and never passed over. */
import { opendirSync, readFileSync, readdirSync, realpathSync, statSync, type Stats } from 'node:fs';
import path from 'node:path';
import { Failure } from '../../protocol/failures.ts';

/**
 * Whether the scripts folder can be read at this moment. Where it cannot, nobody knows which scripts there are.
 * @throws Failure `cannot-start` that says why, and what to do
 */
export function checkFolder(root: string): void {
  readable(root, '', (it) => {
    statSync(`${it}/.`);
    opendirSync(it).closeSync();
  });
}

/** What is to become of a folder that we may not read. */
export type OnUnreadable = (failure: Failure) => void;

/**
 * Paths of all files below it, sorted. Hidden ones are left out, and hidden folders not looked into (.git). Links are followed, but not to a folder that
 * they are in.
 * @param onUnreadable told of every folder that we may not read; by default it throws: Failure `cannot-start`
 */
export function filesBelow(root: string, onUnreadable: OnUnreadable = rethrow): string[] {
  const found: string[] = [];
  const walk = (folder: string, above: readonly string[]): void => {
    const absolute = path.join(root, folder);
    const { real, entries } = look(absolute, folder);
    if (above.includes(real)) return;
    for (const entry of entries) {
      if (entry.name.startsWith('.')) continue;
      const name = path.join(folder, entry.name);
      const kind = entry.isSymbolicLink() ? statOf(path.join(root, name)) : entry;
      if (kind?.isDirectory() === true) attempt(name, [...above, real]);
      else if (kind?.isFile() === true) found.push(name);
    }
  };
  const attempt = (folder: string, above: readonly string[]): void => {
    try {
      walk(folder, above);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      onUnreadable(error);
    }
  };
  attempt('', []);
  return found.sort();
}

function rethrow(failure: Failure): never {
  throw failure;
}

/** A folder that can be listed and not entered has files of which nothing is known. */
function look(absolute: string, folder: string) {
  return readable(absolute, folder, (it) => {
    const real = realpathSync(it);
    statSync(`${it}/.`);
    return { real, entries: readdirSync(it, { withFileTypes: true }) };
  });
}

/** Undefined if it is not there. @param name what messages call it. @throws Failure `cannot-start` for one in a folder that we may not enter */
export function statBelow(file: string, name: string): Stats | undefined {
  try {
    return readable(file, name, (it) => statSync(it, { throwIfNoEntry: false }));
  } catch (error) {
    if (error instanceof Failure) throw error;
    return undefined; // also a name that is too long with one of the extensions, and a link to itself
  }
}

/** @param name what messages call it. @throws Failure `cannot-start` if we may not read it, or a system error */
export function readBelow(file: string, name: string): Buffer {
  return readable(file, name, (it) => readFileSync(it));
}

function readable<T>(file: string, name: string, read: (file: string) => T): T {
  try {
    return read(file);
  } catch (cause) {
    if (isDenied(cause))
      throw new Failure('cannot-start', `the agent's user may not read ${name || file}; run: chmod a+rX '${barrierTo(file)}'`, { cause });
    throw name === '' ? gone(file, cause) : cause;
  }
}

/** It is not there any more, or its disk does not answer. */
function gone(root: string, cause: unknown): Failure {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  const what = code === 'ENOENT' ? 'is not there' : `cannot be read (${code})`;
  const remedy = "on the agent's host, mount it or put it back (scripts in agent.yaml says where); calls are taken again at once";
  return new Failure('cannot-start', `the scripts folder ${root} ${what}, so that nothing was started; ${remedy}`, { cause });
}

/** The first folder on the way that may not be entered; the file itself if there is none. */
function barrierTo(file: string): string {
  const parts = path.resolve(file).split('/');
  const folders = parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('/') || '/');
  return folders.find((folder) => !mayEnter(folder)) ?? file;
}

function mayEnter(folder: string): boolean {
  try {
    return statSync(`${folder}/.`).isDirectory();
  } catch (error) {
    return !isDenied(error);
  }
}

function isDenied(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EACCES';
}

/** Undefined for what vanished, or leads nowhere or to itself. */
function statOf(file: string): Stats | undefined {
  try {
    return statSync(file, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}
