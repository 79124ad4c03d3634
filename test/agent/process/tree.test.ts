import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { after, suite, test } from 'node:test';
import { randomUUID } from 'node:crypto';
import { endTree, isMarked, membersOf } from '../../../agent/process/tree.ts';
import { isAlive, processesNaming } from '../../helpers/processes.ts';
import { soon, until } from '../../helpers/wait.ts';

suite('the tree of a run', () => {
  const children: ChildProcess[] = [];

  /** Starts a script as the agent does, with a mark that is its own. `expected` processes carry it before the tests go on. */
  async function start(source: string, expected: number): Promise<{ pid: number; mark: string; pids: number[] }> {
    const mark = `MEDIATOR_RUN=${randomUUID()}`;
    const env = { PATH: process.env.PATH, MEDIATOR_RUN: mark.slice('MEDIATOR_RUN='.length) };
    const child = spawn('bash', ['-c', source], { env, detached: true, stdio: 'ignore' });
    children.push(child);
    const pid = child.pid;
    assert.ok(pid !== undefined);
    const pids = await until('all processes run', () => {
      const marked = processesNaming(env.MEDIATOR_RUN);
      return marked.length >= expected && marked;
    });
    return { pid, mark, pids };
  }

  after(() => {
    for (const { pid } of children) if (pid !== undefined && isAlive(pid)) process.kill(pid, 'SIGKILL');
  });

  test('is found by session, group and descent', async () => {
    const { pid, mark, pids } = await start('sleep 60 & (sleep 60 & exec sleep 60) & wait', 4);
    assert.deepEqual(new Set(membersOf({ pid, mark })), new Set(pids));
    assert.deepEqual(await endTree({ pid, mark }, 5000), []);
    assert.ok(!pids.some(isAlive));
  });

  test('has a process that left its session, and its parent died: it is found by its mark, and ended', async () => {
    const { pid, mark, pids } = await start('setsid bash -c "sleep 60 & sleep 60 & exit" & wait; exec sleep 60', 3);
    assert.deepEqual(await endTree({ pid, mark }, 5000), []);
    assert.ok(!pids.some(isAlive));
  });

  test('has members without a mark, if they stayed in the session', async () => {
    const { pid, mark } = await start('env -i sleep 61 & wait', 1);
    const members = await until('two members', () => membersOf({ pid, mark }).length === 2 && membersOf({ pid, mark }));
    assert.deepEqual(await endTree({ pid, mark }, 5000), []);
    assert.ok(!members.some(isAlive));
  });

  test('that does not obey TERM is killed after its grace, and not before', async () => {
    const { pid, mark, pids } = await start('trap "" TERM; sleep 60 & while :; do sleep 1; done', 3);
    const begun = performance.now();
    assert.deepEqual(await endTree({ pid, mark }, 300), []);
    assert.ok(performance.now() - begun >= 300);
    assert.ok(!pids.some(isAlive));
  });

  test('that obeys TERM is not waited for any longer', async () => {
    const { pid, mark } = await start('sleep 60 & wait', 2);
    assert.deepEqual(await soon('the end', endTree({ pid, mark }, 3_600_000)), []);
  });

  test('of which nothing is left has no members, and is ended at once', async () => {
    const { pid, mark } = await start('sleep 60', 1);
    const child = children.at(-1);
    assert.ok(child);
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    assert.deepEqual(membersOf({ pid, mark }), []);
    assert.deepEqual(await endTree({ pid, mark }, 60_000), []);
  });

  test('whose first process nobody knows holds no stranger, also where the init process has session 0', () => {
    assert.deepEqual(membersOf({ pid: undefined, mark: `MEDIATOR_RUN=${randomUUID()}` }), []);
  });

  test('never holds the agent itself, not even if a script had started it', () => {
    const [entry] = Object.entries(process.env).filter(([name]) => name === 'PATH');
    const mark = `PATH=${entry?.[1] ?? ''}`;
    assert.ok(isMarked(process.pid, mark));
    assert.ok(!membersOf({ pid: process.pid, mark: 'MEDIATOR_RUN=nobody' }).includes(process.pid));
  });

  test('a stranger does not carry the mark of a run', () => {
    assert.ok(!isMarked(process.pid, `MEDIATOR_RUN=${randomUUID()}`));
    assert.ok(!isMarked(2 ** 22 + 1, 'MEDIATOR_RUN=1'), 'a process that does not exist');
  });
});
