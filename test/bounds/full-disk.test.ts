/** A state folder on a real file system of 24 MiB, which runs full: what exists is kept, new runs are refused with 75, and everything goes on by itself. */
import assert from 'node:assert/strict';
import { closeSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import path from 'node:path';
import { spawnSync } from 'node:child_process';
import { after, before, suite, test } from 'node:test';
import { exitCodeOf } from '../../protocol/failures.ts';
import { prepareAgent, type TestAgent } from '../helpers/agent.ts';
import { newFolder } from '../helpers/folder.ts';
import { dial, invoke, startMessage, type Call } from '../helpers/stub.ts';
import { until } from '../helpers/wait.ts';

const MIB = 1024 * 1024;
const permitted = spawnSync('unshare', ['--mount', 'true']).status === 0;

suite('a disk that runs full', { skip: permitted ? false : 'unshare --mount is not permitted here (root, or CAP_SYS_ADMIN)' }, () => {
  let agent: TestAgent;
  /** Where the file system is mounted. */
  const small = newFolder();
  /** The same as the agent sees it. */
  let state: string;

  before(async () => {
    const mount = 'mount -t tmpfs -o size=24m,mode=700 tmpfs "$0" && exec "$@"';
    agent = await prepareAgent({
      settings: { limits: { 'disk-free': '8MiB' }, state: small },
      through: ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', mount, small],
    });
    agent.script('hello.sh', '#!/bin/bash\necho hello\n');
    agent.script('wait.sh', '#!/bin/bash\necho first\nuntil [ -e "$1" ]; do sleep 0.05; done\necho second\n');
    agent.script('print.sh', '#!/bin/bash\necho first\nuntil [ -e "$1" ]; do sleep 0.05; done\nexec head -c 4000000 /dev/zero\n');
    await agent.start();
    state = `/proc/${agent.pid}/root${small}`;
  });
  after(async () => {
    await agent.close();
    rmSync(small, { recursive: true });
  });

  const free = (): number => {
    const { bavail, bsize } = statfsSync(state);
    return bavail * bsize;
  };

  /** Takes room until so many bytes are left. */
  function fill(left: number): void {
    const fd = openSync(path.join(state, 'ballast'), 'a');
    try {
      for (let room = free() - left; room > 0; room = free() - left) writeSync(fd, Buffer.alloc(Math.min(room, MIB)));
    } catch (error) {
      assert.ok(error instanceof Error && 'code' in error && error.code === 'ENOSPC');
    } finally {
      closeSync(fd);
    }
  }

  function makeRoom(): void {
    rmSync(path.join(state, 'ballast'));
  }

  async function begin(script: string, go: string): Promise<Call> {
    const call = await dial(agent);
    call.send(startMessage({ script, args: [path.join(agent.dir, go)] }));
    call.send({ type: 'end', stdin: 0 });
    await call.accepted();
    await until('the first line', () => call.stdout.length === 6);
    return call;
  }

  function open(go: string): void {
    closeSync(openSync(path.join(agent.dir, go), 'w'));
  }

  const hello = async (stdin = Buffer.alloc(0)): Promise<[string, number]> => {
    const { terminal } = await invoke(agent, { script: 'hello' }, { stdin });
    return [terminal.outcome, terminal.code];
  };
  const REFUSED = ['refused', exitCodeOf('spool-full')];

  test('almost: new runs are refused with 75, one that goes on ends as it would have, and then there is room again', async () => {
    assert.deepEqual(await hello(), ['exited', 0]);
    const going = await begin('wait', 'go-1');
    fill(4 * MIB);
    assert.deepEqual(await hello(), REFUSED);
    assert.deepEqual(await hello(Buffer.alloc(MIB)), REFUSED, 'before its stdin takes what is left');
    open('go-1');
    const terminal = await going.terminal();
    assert.deepEqual([terminal.outcome, terminal.code, going.stdout.toString()], ['exited', 0, 'first\nsecond\n']);
    await going.ack();
    assert.equal((await agent.run(going.run ?? '')).outcome, 'exited');
    makeRoom();
    assert.deepEqual(await hello(), ['exited', 0]);
  });
  test('to the last byte: output that cannot be kept is no success, the journal is written as soon as it can be', async () => {
    const printing = await begin('print', 'go-2');
    const quiet = await begin('wait', 'go-3');
    fill(0);
    assert.ok(free() < MIB);
    assert.deepEqual(await hello(), REFUSED);
    open('go-2');
    const lost = await printing.terminal();
    assert.equal(lost.outcome, 'cancelled');
    assert.match(lost.message, /full/);
    await printing.ack();
    fill(0);
    open('go-3');
    const quietEnd = await quiet.terminal();
    assert.notEqual(`${quietEnd.outcome} ${quietEnd.stdout}`, 'exited 6', 'half of an output is no success');
    await quiet.ack();
    makeRoom();
    for (const [{ run = '' }, { outcome, code, stdout }] of [
      [printing, lost],
      [quiet, quietEnd],
    ] as const) {
      const row = await until('the end in the journal', async () => {
        const found = await agent.run(run);
        return found.outcome !== null && found;
      });
      assert.deepEqual([row.outcome, row.code, row.stdout], [outcome, code, stdout]);
    }
    assert.deepEqual(await hello(), ['exited', 0]);
  });
  test('said so once each time, and everything is as the journal says', async () => {
    const verified = spawnSync('nsenter', [
      '--mount',
      `--target=${agent.pid}`,
      process.execPath,
      path.join(import.meta.dirname, '../../agent/main.ts'),
      'runs',
      'verify',
      '--config',
      agent.config,
    ]);
    assert.equal(verified.status, 0, verified.stdout.toString() + verified.stderr.toString());
    assert.equal(await agent.stop(), 0);
    const log = await agent.log();
    const times = (start: string): number => log.filter(({ msg }) => msg.startsWith(start)).length;
    assert.deepEqual([times('no room for new runs'), times('room for new runs again')], [2, 2]);
  });
});
