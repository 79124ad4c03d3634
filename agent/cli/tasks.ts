/** `tasks list`, `show`, `test`. */
import { z } from 'zod';
import { Failure } from '../../protocol/failures.ts';
import { isBefore } from '../tasks/task.ts';
import type { Config } from '../config/config.ts';
import { callRunner } from '../wire/runner-api.ts';
import { invoke } from './run.ts';
import { formatTable, printJsonLines, printable } from './terminal.ts';

const Task = z.object({
  name: z.string(),
  file: z.string(),
  trigger: z.string(),
  action: z.string(),
  enabled: z.boolean(),
  problem: z.string(),
  description: z.string(),
  tags: z.array(z.string()),
  'fail-open': z.boolean(),
  'custom-data': z.record(z.string(), z.unknown()),
});
type Task = z.output<typeof Task>;

export async function listTasks(config: Config, { json }: { json?: boolean }): Promise<void> {
  const tasks = await fetchTasks(config);
  if (json === true) {
    printJsonLines(tasks);
    return;
  }
  const rows = tasks.map(({ name, trigger, action, file, description, ...task }) => [
    name,
    trigger,
    action,
    stateOf(task),
    file,
    task.problem || description,
  ]);
  process.stdout.write(formatTable(['TASK', 'TRIGGER', 'ACTION', 'STATE', 'FILE', ''], rows));
}

/** Resolves with the exit code: 1 if the task cannot be used. */
export async function showTask(config: Config, name: string, { json }: { json?: boolean }): Promise<number> {
  const task = await findTask(config, name);
  if (json === true) printJsonLines([task]);
  else {
    const lines = Object.entries(task).map(
      ([field, value]) => `${`${field}:`.padEnd(13)} ${printable(typeof value === 'string' ? value : JSON.stringify(value))}\n`,
    );
    process.stdout.write(lines.join(''));
  }
  return task.problem === '' ? 0 : 1;
}

/** Carries out one task, enabled or not, with this terminal's stdin as its event. Resolves with the exit code. */
export async function testTask(config: Config, name: string): Promise<number> {
  const { trigger } = await findTask(config, name);
  const host = /^[A-Z_]+$/.test(trigger) ? 'securechange' : 'checkpoint';
  if (isBefore(trigger)) process.stderr.write(`mediator-agent: ${trigger}: the verdict follows on stdout\n`);
  return invoke(config, { event: trigger, task: name, args: [], host }, true);
}

async function findTask(config: Config, name: string): Promise<Task> {
  const task = (await fetchTasks(config)).find((candidate) => candidate.name === name);
  if (task === undefined)
    throw new Failure('no-such-script', `there is no task "${name}"; "mediator-agent tasks list" shows what there is`);
  return task;
}

async function fetchTasks(config: Config): Promise<Task[]> {
  return z.object({ tasks: z.array(Task) }).parse(await callRunner(config.socket, 'GET', '/v1/tasks')).tasks;
}

function stateOf({ problem, enabled }: Pick<Task, 'problem' | 'enabled'>): string {
  if (problem !== '') return 'broken';
  return enabled ? 'enabled' : 'disabled';
}
