/** The task files in the scripts folder. Read from disk at every event: changes need no restart. */
import { realpathSync } from 'node:fs';
import path from 'node:path';
import { Failure } from '../../protocol/failures.ts';
import { filesBelow, readBelow, type OnUnreadable } from '../config/scripts-folder.ts';
import { formatProblem, parseYaml } from '../config/yaml-file.ts';
import { Task } from './task.ts';

const FILE = /\.task\.(yaml|json)$/;

export interface TaskEntry {
  /** Path below the scripts folder. */
  file: string;
  /** Undefined if the file has a problem. */
  task: Task | undefined;
  /** Why the task does not run; empty if it may. */
  problem: string;
}

/**
 * All task files, sorted by path. Two tasks of one name are both out of order.
 * @param checkTrust throws if others than their owner can write a file or a folder on the way to it; of both, it gets the real paths
 * @throws Failure `cannot-start` for a folder that we may not read, where nobody else is told: a task in it would be passed over
 */
export function readTasks(root: string, checkTrust: CheckTrust, onUnreadable?: OnUnreadable): TaskEntry[] {
  const files = filesBelow(root, onUnreadable).filter((name) => FILE.test(name));
  if (files.length === 0) return [];
  const real = realpathSync(root);
  const entries = files.map((file) => readTask(path.join(root, file), file, (absolute) => checkTrust(real, absolute)));
  return entries.map((entry) => {
    const twins = entries.filter(({ task }) => task !== undefined && task.name === entry.task?.name);
    if (entry.task === undefined || twins.length < 2) return entry;
    return { ...entry, problem: `${twins.map(({ file }) => file).join(' and ')} have the same name, "${entry.task.name}"; rename one` };
  });
}

type CheckTrust = (root: string, file: string) => void;

function readTask(absolute: string, file: string, checkTrust: (file: string) => void): TaskEntry {
  try {
    checkTrust(realpathSync(absolute));
    const parsed = parseYaml(absolute, readBelow(absolute, file).toString(), Task);
    if (parsed.ok) return { file, task: parsed.value, problem: '' };
    return { file, task: undefined, problem: parsed.problems.map(formatProblem).join('; ') };
  } catch (error) {
    return { file, task: undefined, problem: Failure.from(error).message };
  }
}
