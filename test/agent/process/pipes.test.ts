import assert from 'node:assert/strict';
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import { before, suite, test } from 'node:test';
import { Pipes, type Pipe } from '../../../agent/process/pipes.ts';
import { startScript } from '../../../agent/process/script.ts';
import { Failure } from '../../../protocol/failures.ts';
import { descriptorsOf } from '../../helpers/processes.ts';
import { soon, until } from '../../helpers/wait.ts';

const ENV = { PATH: process.env.PATH ?? '' };

suite('pipes', () => {
  const pipes = new Pipes();
  before(() => pipes.fill());

  async function run(
    file: string,
    args: string[],
  ): Promise<{ code: number | null; signal: number | null; stdout: string; stderr: string }> {
    const [input, stdout, stderr] = [await pipes.inward(), await pipes.outward(), await pipes.outward()];
    const child = [input.read, stdout.write, stderr.write] as const;
    closeSync(input.write);
    try {
      const { exit } = await startScript({ file, args, cwd: '/', env: ENV, stdio: [...child] });
      for (const fd of child) closeSync(fd);
      const end = await soon('the end of a script', exit);
      return { ...end, stdout: drain(stdout), stderr: drain(stderr) };
    } catch (error) {
      for (const fd of [...child, stdout.read, stderr.read]) closeSync(fd);
      throw error;
    }
  }

  function drain({ read }: Pipe): string {
    const buffer = Buffer.alloc(65_536);
    const count = readSync(read, buffer);
    closeSync(read);
    return buffer.toString('utf8', 0, count);
  }

  test('end with the process that writes, and with the one that reads', async () => {
    const { read, write } = await pipes.outward();
    assert.throws(() => readSync(read, Buffer.alloc(1)), { code: 'EAGAIN' });
    writeSync(write, 'a');
    closeSync(write);
    assert.equal(readSync(read, Buffer.alloc(10)), 1);
    assert.equal(readSync(read, Buffer.alloc(10)), 0);
    closeSync(read);
    const inward = await pipes.inward();
    closeSync(inward.read);
    assert.throws(() => writeSync(inward.write, 'x'), { code: 'EPIPE' });
    closeSync(inward.write);
  });
  test('let a script open its own streams by name', async () => {
    const { code, stdout, stderr } = await run('/bin/bash', [
      '-c',
      'echo a >/dev/stdout; echo b >/dev/stderr; cat /dev/stdin; echo c >/proc/self/fd/2',
    ]);
    assert.deepEqual([code, stdout, stderr], [0, 'a\n', 'b\nc\n']);
  });
  test('block at the end of the script, as it expects', async () => {
    const { stdout } = await run('python3', ['-c', 'import os; print([os.get_blocking(fd) for fd in (0, 1, 2)])']);
    assert.equal(stdout, '[True, True, True]\n');
  });
  test('are the only descriptors that a script gets', async () => {
    const { stdout } = await run('/bin/bash', [
      '-c',
      'for fd in /proc/self/fd/*; do echo ${fd##*/}; done | sort -n | head -3 | tr "\\n" " "; [ -e /proc/$$/fd/3 ] && echo more',
    ]);
    assert.equal(stdout.trim(), '0 1 2');
  });
  test('are there for many at once, and none is left open', async () => {
    await until('no refill goes on', async () => {
      const before = descriptorsOf(process.pid);
      await pipes.fill();
      return descriptorsOf(process.pid) >= before;
    });
    const before = descriptorsOf(process.pid);
    const taken = await Promise.all(Array.from({ length: 300 }, (_, index) => (index % 2 === 0 ? pipes.outward() : pipes.inward())));
    assert.equal(new Set(taken.flatMap(({ read, write }) => [read, write])).size, 600);
    for (const { read, write } of taken) {
      closeSync(read);
      closeSync(write);
    }
    await pipes.fill();
    assert.ok(descriptorsOf(process.pid) - before < 400, 'no more than what is in stock');
  });
});

suite('a script', () => {
  const nothing = (): [number, number, number] => {
    const fds = [
      openSync('/dev/null', constants.O_RDWR),
      openSync('/dev/null', constants.O_RDWR),
      openSync('/dev/null', constants.O_RDWR),
    ] as const;
    return [...fds];
  };

  async function exitOf(source: string): Promise<{ code: number | null; signal: number | null }> {
    const stdio = nothing();
    const { exit } = await startScript({ file: '/bin/bash', args: ['-c', source], cwd: '/', env: ENV, stdio });
    for (const fd of stdio) closeSync(fd);
    return exit;
  }

  test('ends with a code or a signal', async () => {
    assert.deepEqual(await exitOf('exit 0'), { code: 0, signal: null });
    assert.deepEqual(await exitOf('exit 255'), { code: 255, signal: null });
    assert.deepEqual(await exitOf('kill -KILL $$'), { code: null, signal: 9 });
    assert.deepEqual(await exitOf('kill -SEGV $$'), { code: null, signal: 11 });
  });
  test('leads a session of its own', async () => {
    assert.deepEqual(await exitOf('read -r _ _ _ _ group session _ </proc/$$/stat; [[ $group == $$ && $session == $$ ]]'), {
      code: 0,
      signal: null,
    });
  });

  async function failure(command: Partial<Parameters<typeof startScript>[0]>): Promise<Failure> {
    const stdio = nothing();
    try {
      await startScript({ file: '/bin/true', args: [], cwd: '/', env: ENV, stdio, ...command });
    } catch (error) {
      assert.ok(error instanceof Failure);
      return error;
    } finally {
      for (const fd of stdio) closeSync(fd);
    }
    assert.fail('it was started');
  }

  test('that the system will not start is refused', async () => {
    assert.equal((await failure({ file: '/nowhere' })).code, 'cannot-start');
    assert.equal((await failure({ file: '/etc/passwd' })).code, 'cannot-start');
    assert.equal((await failure({ cwd: '/nowhere' })).code, 'cannot-start');
    assert.equal((await failure({ args: ['a\0b'] })).code, 'cannot-start');
  });
  test('whose arguments are too long for Linux is refused', async () => {
    assert.equal((await failure({ args: ['x'.repeat(131_072)] })).code, 'argument-too-long');
    assert.equal((await failure({ args: Array.from({ length: 100 }, () => 'x'.repeat(131_000)) })).code, 'argument-too-long');
  });
});
