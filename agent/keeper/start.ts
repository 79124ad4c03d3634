/** Starts a script in a control group of its own, where there can be one, and within its limits. */
import type { Logger } from '../log.ts';
import type { Group, Limits } from '../process/group.ts';
import type { Groups } from '../process/groups.ts';
import { startScript, type StartedProcess } from '../process/script.ts';
import type { Tree } from '../process/tree.ts';
import type { StartOrder } from './messages.ts';

export interface Started extends StartedProcess {
  /** All that the script starts. */
  tree: Tree;
}

/** @throws Failure `cannot-start` or `argument-too-long` */
export async function start(order: StartOrder, stdio: [number, number, number], groups: Groups | undefined, log: Logger): Promise<Started> {
  const { run, program: file, args, cwd, env, mark, limits } = order;
  const startNow = (): Promise<StartedProcess> => startScript({ file, args, cwd, env, stdio });
  const { started, group } = groups === undefined ? { started: startNow(), group: undefined } : await groups.within(startNow);
  try {
    const process = await started;
    void enforce(limits, group, run, log);
    return { ...process, tree: { pid: process.pid, mark, group } };
  } catch (error) {
    if (group !== undefined) groups?.discard(group);
    throw error;
  }
}

/** Not before we have left the group: its memory limit would count ours. The script has no limits for the milliseconds until then. */
async function enforce(limits: Limits, group: Group | undefined, run: string, log: Logger): Promise<void> {
  const wanted = Object.keys(limits);
  if (wanted.length === 0) return;
  await group?.vacated();
  const missing = group === undefined ? wanted : group.limit(limits);
  if (missing.length > 0)
    log.warn({ run, limits: missing }, 'limits of the manifest are not enforced: scripts/README.md says what that takes');
}
