/**
 * Where tests let a part of the agent die, as if it had been killed just there. `MEDIATOR_CRASH_FILE` names a file; the part that comes to the point
 * whose name is in it removes the file, so that its successor gets past, and kills itself. Nothing of this is in the release archive: esbuild takes
 * the variable for undefined there (systemd/package.ts), and no environment brings it back.
 */
import { readFileSync, rmSync } from 'node:fs';

export const CRASH_POINTS = [
  // The runner, in the order of a run's life.
  'request-complete', // nothing is written yet
  'stdin-admitted', // the run has a folder, and no row in the journal
  'recorded', // it has a row, and nobody was told
  'accepted', // the row is on the disk; the stub is told next
  'announced', // the journal says that the script starts; the keeper was not asked
  'ordered', // the keeper was asked
  'start-heard', // it has said that the script runs; the journal has no process id
  'output-heard', // the first output is in the spool, and no reader has it
  'end-heard', // the script has ended; the journal does not say so
  'settled', // the journal says so; no reader was told
  'record-sent', // the terminal record was handed to the connection
  'acknowledged', // the stub has it, and that is not written down
  // A runner that comes after a crash.
  'kept-heard', // it knows what the keeper has, and has taken nothing over
  'adopted', // it has taken a run over, and offers no API yet
  // The keeper.
  'order-read', // nothing was started
  'spawned', // the script runs; nobody was told
  'output-read', // output was taken out of the pipe, and is nowhere
  'output-kept', // it is in the spool; nobody was told
  'exit-seen', // the script has ended; its pipes may hold more
  'end-known', // all is in the spool; nobody was told
  'end-unwritten', // no runner is there; the end is written nowhere
  'end-written', // it is in the run's folder
] as const;
export type CrashPoint = (typeof CRASH_POINTS)[number];

export function crashPoint(point: CrashPoint): void {
  const file = process.env.MEDIATOR_CRASH_FILE;
  if (file === undefined || read(file) !== point) return;
  rmSync(file);
  process.kill(process.pid, 'SIGKILL'); // before kill(2) returns
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // no test waits for a crash right now
  }
}
