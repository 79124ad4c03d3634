/** The logic alone, on folders that are no control groups. What the kernel makes of it is shown in a booted system: systemd/booted.ts. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, suite, test } from 'node:test';
import { Group } from '../../../agent/process/group.ts';
import { ownFolder, unenforceable } from '../../../agent/process/groups.ts';
import { temporaryFolder } from '../../helpers/folder.ts';

suite('a control group', () => {
  const root = temporaryFolder({ after });
  let count = 0;

  /** A folder with these files, as the kernel would have made it. */
  function groupWith(files: Record<string, string>): { group: Group; read: (name: string) => string } {
    const folder = path.join(root, String((count += 1)));
    mkdirSync(folder);
    for (const [name, content] of Object.entries(files)) writeFileSync(path.join(folder, name), content);
    return { group: new Group(folder), read: (name) => readFileSync(path.join(folder, name), 'utf8') };
  }

  test('gets its limits as the kernel spells them, no swap, and an end as a whole', () => {
    const { group, read } = groupWith({ 'memory.max': '', 'memory.swap.max': '', 'memory.oom.group': '', 'pids.max': '', 'cpu.max': '' });
    assert.deepEqual(group.limit({ memory: 512 * 1024 ** 2, processes: 64, cpu: 1.5 }), []);
    const written = ['memory.max', 'memory.swap.max', 'memory.oom.group', 'pids.max', 'cpu.max'].map(read);
    assert.deepEqual(written, ['536870912', '0', '1', '64', '150000 100000']);
  });
  test('names the limits for which the kernel has no file', () => {
    const { group } = groupWith({ 'pids.max': '' });
    assert.deepEqual(group.limit({ memory: 1024 ** 2, processes: 1, cpu: 0.01 }), ['memory', 'cpu']);
    assert.deepEqual(group.limit({}), []);
  });
  test('knows whether the kernel has killed for its memory', () => {
    assert.ok(!groupWith({}).group.ranOutOfMemory);
    assert.ok(!groupWith({ 'memory.events': 'low 0\nmax 7\noom 1\noom_kill 0\noom_group_kill 0\n' }).group.ranOutOfMemory);
    assert.ok(groupWith({ 'memory.events': 'low 0\nmax 7\noom 1\noom_kill 12\n' }).group.ranOutOfMemory);
  });
  test('has all members of the groups that a script made in it, and never us', () => {
    const { group } = groupWith({ 'cgroup.procs': `12\n${process.pid}\n` });
    mkdirSync(path.join(group.folder, 'below/deep'), { recursive: true });
    writeFileSync(path.join(group.folder, 'below/deep/cgroup.procs'), '99\n');
    assert.deepEqual(group.members(), [12, 99]);
  });
  test('in which we are is not killed', () => {
    const ours = groupWith({ 'cgroup.procs': `12\n${process.pid}\n`, 'cgroup.kill': '' });
    ours.group.kill();
    assert.equal(ours.read('cgroup.kill'), '');
    const theirs = groupWith({ 'cgroup.procs': '12\n', 'cgroup.kill': '' });
    theirs.group.kill();
    assert.equal(theirs.read('cgroup.kill'), '1');
  });
  test('that has gone has no members, and can be removed', () => {
    const group = new Group(path.join(root, 'nowhere'));
    assert.deepEqual(group.members(), []);
    group.kill();
    mkdirSync(path.join(root, 'empty/below'), { recursive: true });
    assert.ok(new Group(path.join(root, 'empty')).remove());
  });
});

suite('our own control group', () => {
  const UNIFIED = '30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n';
  const HYBRID =
    '31 24 0:27 / /sys/fs/cgroup/memory rw shared:10 - cgroup cgroup rw,memory\n32 24 0:26 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw\n';
  const UNIT = '/system.slice/mediator-runner.service';

  test('is found in version 2 alone, in a hybrid, and in a container', () => {
    assert.equal(ownFolder(`0::${UNIT}\n`, UNIFIED), `/sys/fs/cgroup${UNIT}`);
    assert.equal(ownFolder(`8:memory:/a\n1:name=systemd:/b\n0::${UNIT}/runner\n`, HYBRID), `/sys/fs/cgroup/unified${UNIT}/runner`);
    const inContainer = UNIFIED.replace(' / /sys', ' /machine.slice/c1 /sys');
    assert.equal(ownFolder(`0::/machine.slice/c1${UNIT}\n`, inContainer), `/sys/fs/cgroup${UNIT}`);
  });
  test('is none in version 1 alone, at the root, or where its mount shows something else', () => {
    assert.equal(ownFolder(`8:memory:/a\n1:name=systemd:${UNIT}\n`, HYBRID), undefined);
    assert.equal(ownFolder('0::/\n', UNIFIED), undefined);
    assert.equal(ownFolder(`0::${UNIT}\n`, HYBRID.split('\n')[0] ?? ''), undefined);
    assert.equal(ownFolder(`0::${UNIT}\n`, UNIFIED.replace(' / /sys', ' /other /sys')), undefined);
  });
  test('enforces the limits for which the system has a controller', () => {
    assert.deepEqual(unenforceable(['memory', 'processes', 'cpu'], ['cpu', 'io', 'memory', 'pids']), []);
    assert.deepEqual(unenforceable(['memory', 'processes', 'cpu'], ['cpu']), ['memory', 'processes']);
    assert.deepEqual(unenforceable([], []), []);
  });
});
