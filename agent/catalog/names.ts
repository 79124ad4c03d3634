/** From the name of a script to the files that may answer to it. */
import path from 'node:path';
import { Failure } from '../../protocol/failures.ts';
import { INTERPRETERS } from '../config/interpreters.ts';

/** Never scripts, whatever their mode says: a file system without modes calls everything executable. */
const NEVER = new Set(['.yaml', '.yml', '.md', '.txt', '.json', '.xml', '.csv', '.log']);

/** @throws Failure `invalid-name` unless the name is a plain path below the scripts folder */
export function checkName(name: string): void {
  const parts = name.split('/');
  const plain = parts.every((part) => part !== '' && !part.startsWith('.')) && !name.includes('\0');
  if (plain) return;
  throw new Failure(
    'invalid-name',
    `${quote(name)} is not a script name: give its path below the scripts folder, without a leading / and without ..`,
  );
}

/** Paths relative to the scripts folder that answer to a name. */
export function candidates(name: string): string[] {
  return [name, ...Object.keys(INTERPRETERS).map((extension) => name + extension)];
}

/** @param mode as stat(2) gives it */
export function isScriptFile(name: string, mode: number): boolean {
  const extension = path.extname(name);
  if (path.basename(name).startsWith('.') || NEVER.has(extension)) return false;
  return extension in INTERPRETERS || (mode & 0o111) !== 0;
}

/** `close-ticket.py` → `close-ticket` */
export function stemOf(name: string): string {
  return name.slice(0, name.length - path.extname(name).length);
}

/** For messages: what came from outside, in quotes, on one line, and not too long. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text);
}
