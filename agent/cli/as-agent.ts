/** Root may read everything. What the agent's user may not is found as that user. */
import { readdirSync, statSync } from 'node:fs';
import type { Config } from '../config/config.ts';
import { runTool } from '../process/execute.ts';

/** Does the work as the user who runs the scripts, if we are root; the owner of the state folder is. Nothing else may go on meanwhile. */
export async function asAgent<T>({ state }: Config, work: () => Promise<T>): Promise<T> {
  const owner = statSync(state, { throwIfNoEntry: false });
  const { seteuid, setegid, setgroups, geteuid } = process;
  if (!seteuid || !setegid || !setgroups || geteuid?.() !== 0 || owner === undefined || owner.uid === 0) return work();
  const own = { group: process.getegid?.() ?? 0, groups: process.getgroups?.() ?? [] };
  setgroups([owner.gid, ...(await groupsOf(owner.uid))]);
  setegid(owner.gid);
  seteuid(owner.uid);
  try {
    return await work();
  } finally {
    seteuid(0);
    setegid(own.group);
    setgroups(own.groups);
  }
}

/** Who we are not to look as, and may not look ourselves: undefined if we are root, the agent's user, or may look all the same. */
export function strangerTo({ scripts, state }: Config): string | undefined {
  const own = process.geteuid?.();
  try {
    if (own === 0 || statSync(state, { throwIfNoEntry: false })?.uid === own) return undefined;
  } catch {
    // it is in a folder that we may not enter
  }
  try {
    readdirSync(scripts);
    statSync(`${scripts}/.`);
    return undefined;
  } catch (error) {
    const denied = error instanceof Error && 'code' in error && error.code === 'EACCES';
    return denied ? `${scripts} may not be read by this user; use sudo, or the user of the agent` : undefined;
  }
}

/** As systemd would give them. None for a user without a name. */
async function groupsOf(user: number): Promise<number[]> {
  const said = await runTool('id', ['-G', String(user)]).catch(() => '');
  return said.split(/\s+/).filter(Boolean).map(Number);
}
