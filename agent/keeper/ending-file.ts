/** The end of a run that no runner has heard of: kept in the run's folder for the next one. */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import * as z from 'zod/mini';
import { Ended, type Kept } from './messages.ts';

const NAME = 'ending.json';

const Ending = z.object({ memo: z.string(), ended: Ended });
type Ending = z.output<typeof Ending>;

/** Written beside and moved: it is there as a whole, or not at all. @throws a system error */
export function writeEnding(folder: string, { memo, ended }: Ending): void {
  const file = path.join(folder, NAME);
  const fd = openSync(`${file}.new`, 'w', 0o600);
  try {
    writeFileSync(fd, JSON.stringify({ memo, ended }));
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(`${file}.new`, file);
}

/** Undefined if there is none, or none that can be read. */
export function readEnding(folder: string, run: string): Kept | undefined {
  try {
    const { memo, ended } = Ending.parse(JSON.parse(readFileSync(path.join(folder, NAME), 'utf8')));
    return { run, memo, ended, lengths: { stdout: ended.totals.stdout.size, stderr: ended.totals.stderr.size } };
  } catch {
    return undefined;
  }
}

/** Once it is in the journal. */
export function removeEnding(folder: string): void {
  rmSync(path.join(folder, NAME), { force: true });
}
