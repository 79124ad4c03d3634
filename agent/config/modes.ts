/** Who else may read or write a file. */
import { statSync } from 'node:fs';
import type { Problem } from './yaml-file.ts';

/** Empty if the file is not there, or its mode has none of these bits. @param remedy the argument of chmod */
export function checkMode(file: string, forbidden: number, why: string, remedy: string): Problem[] {
  const stats = statSync(file, { throwIfNoEntry: false });
  if (stats?.isFile() !== true || (stats.mode & forbidden) === 0) return [];
  return [{ file, line: 0, field: '', message: `has mode 0${(stats.mode & 0o777).toString(8)} and ${why}; run: chmod ${remedy} ${file}` }];
}
