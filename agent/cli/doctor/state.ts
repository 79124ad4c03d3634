/** The state folder: who may read it, whether there is room, whether the journal is whole. */
import { existsSync, statSync, statfsSync, type StatsFs } from 'node:fs';
import path from 'node:path';
import type { Config } from '../../config/config.ts';
import { Audit } from '../../journal/audit.ts';
import { fail, failed, ok, warn, type Finding } from '../findings.ts';

const MIB = 1024 ** 2;

export function examineState(config: Config): Finding[] {
  const { state } = config;
  try {
    if (!existsSync(state)) return [warn(state, 'does not exist yet; the runner makes it at its first start')];
    return [...examineFolders(config), examineRoom(config), examineJournal(path.join(state, 'journal.db'))];
  } catch (error) {
    return [failed(state, error)];
  }
}

/** Tickets and secrets are in them. */
function examineFolders({ state, credentials }: Config): Finding[] {
  return [state, ...(credentials === undefined ? [] : [credentials])].flatMap((folder) => {
    const stats = statSync(folder, { throwIfNoEntry: false });
    if (stats === undefined) return [warn(folder, 'does not exist; make it, or correct credentials in agent.yaml')];
    const mode = stats.mode & 0o777;
    return (mode & 0o007) === 0
      ? []
      : [warn(folder, `has mode 0${mode.toString(8)}, and others may look into it; run: chmod o= ${folder}`)];
  });
}

function examineRoom({ state, limits }: Config): Finding {
  const { bavail, bsize, ffree, files }: StatsFs = statfsSync(state);
  const [free, needed] = [bavail * bsize, limits['disk-free']];
  const said = `${Math.floor(free / MIB)} MiB free`;
  if (free < needed)
    return fail(state, `${said}, less than limits.disk-free: new runs are refused; make room, or let retention keep less (agent.yaml)`);
  if (files > 0 && ffree < 1000) return fail(state, `${ffree} inodes free; remove files from this disk, or let retention keep less`);
  if (free < 2 * needed) return warn(state, `${said}; below ${needed / MIB} MiB new runs are refused (limits.disk-free)`);
  return ok(state, said);
}

/** SQLite's own look at the structure. Whether every row and file is as it was written, `runs verify` says, and takes its time. */
function examineJournal(file: string): Finding {
  if (statSync(file, { throwIfNoEntry: false }) === undefined)
    return warn(file, 'does not exist yet; the runner makes it at its first start');
  try {
    const audit = new Audit(file);
    try {
      const faults = audit.faults();
      if (faults.length === 0) return ok(file, `whole, ${Math.ceil(statSync(file).size / MIB)} MiB, ${audit.open} runs go on`);
      return fail(file, `${faults.join('; ')}; stop the agent, keep a copy of the file, and restore a backup`);
    } finally {
      audit.close();
    }
  } catch (error) {
    return failed(file, error);
  }
}
