import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, suite, test } from 'node:test';
import { Approvals } from '../../../agent/catalog/approvals.ts';
import { Catalog } from '../../../agent/catalog/catalog.ts';
import { readTasks } from '../../../agent/tasks/folder.ts';
import { Failure, type FailureCode } from '../../../protocol/failures.ts';
import { newFolder } from '../../helpers/folder.ts';
import { soon } from '../../helpers/wait.ts';

suite('the catalog', () => {
  let root: string;
  let catalog: Catalog;

  beforeEach(() => {
    root = newFolder();
    chmodSync(root, 0o755);
    catalog = open(0);
  });
  afterEach(() => {
    rmSync(root, { recursive: true });
  });

  function open(settle: number): Catalog {
    return new Catalog({
      root,
      searchPath: process.env.PATH ?? '',
      settle,
      approvals: new Approvals({ approvals: '', 'require-approval': false }),
    });
  }

  function write(name: string, text = '#!/bin/sh\n', mode = 0o755): string {
    const file = path.join(root, name);
    mkdirSync(path.dirname(file), { recursive: true, mode: 0o755 });
    writeFileSync(file, text);
    chmodSync(file, mode);
    return file;
  }

  /** As a user who owns nothing here; who is not root may not read what has no mode either. */
  async function asNobody(work: () => Promise<void>): Promise<void> {
    if (process.getuid?.() === 0) process.seteuid?.(65_534);
    try {
      await work();
    } finally {
      process.seteuid?.(process.getuid?.() ?? 0);
    }
  }

  function fails(code: FailureCode, name: string): Promise<void> {
    return assert.rejects(catalog.resolve(name), (error: unknown) => {
      assert.ok(error instanceof Failure);
      assert.equal(error.code, code, error.message);
      return true;
    });
  }

  test('finds a script by its path, with and without extension', async () => {
    write('a/b/close.py', '#!/usr/bin/env python3\n');
    write('plain', 'echo');
    for (const name of ['a/b/close', 'a/b/close.py']) assert.equal((await catalog.resolve(name)).name, 'a/b/close.py');
    assert.equal((await catalog.resolve('plain')).name, 'plain');
  });
  test('lists what is a script, and nothing else', () => {
    write('b.py', '', 0o644);
    write('a/c', '', 0o755);
    write('a/data', '', 0o644);
    write('b.yaml', '', 0o755);
    write('README.md', '', 0o755);
    write('.hidden.py');
    write('.git/hooks/pre-commit');
    symlinkSync('nowhere.py', path.join(root, 'dangling.py'));
    symlinkSync('loop.py', path.join(root, 'loop.py'));
    assert.deepEqual(catalog.names(), ['a/c', 'b.py']);
  });
  test("says what helps where the agent's user may not read what is there: nothing can have run, and nothing is passed over", async () => {
    const file = write('x.sh', 'echo 1', 0);
    const manifest = write('y.yaml', 'timeout: 3s\n', 0);
    write('y.sh', 'echo 2');
    const folder = path.dirname(write('deep/z.sh', 'echo 3'));
    chmodSync(path.dirname(write('.git/hooks/pre-commit')), 0);
    chmodSync(folder, 0);
    await asNobody(async () => {
      const denied = (what: string, where: string): string => `the agent's user may not read ${what}; run: chmod a+rX '${where}'`;
      await assert.rejects(catalog.resolve('x'), { code: 'cannot-start', message: denied('x.sh', file) });
      await assert.rejects(catalog.resolve('y'), { code: 'broken-manifest', message: denied(manifest, manifest) });
      await assert.rejects(catalog.resolve('deep/z'), { code: 'cannot-start', message: denied('deep/z', folder) });
      assert.throws(() => catalog.names(), { code: 'cannot-start', message: denied('deep', folder) });
      assert.throws(() => readTasks(root, () => undefined), { code: 'cannot-start', message: denied('deep', folder) });
    });
    for (const mode of [0o644, 0o311]) {
      chmodSync(root, mode);
      await asNobody(async () => {
        await assert.rejects(catalog.resolve('missing'), { code: 'cannot-start' });
        assert.throws(() => catalog.checkFolder(), { code: 'cannot-start', message: new RegExp(`run: chmod a\\+rX '${root}'$`) });
      });
    }
    for (const place of [root, file, manifest, folder]) chmodSync(place, 0o755);
    await asNobody(async () => {
      for (const name of ['x', 'y', 'deep/z']) await catalog.resolve(name);
      assert.deepEqual(catalog.names(), ['deep/z.sh', 'x.sh', 'y.sh']);
    });
  });
  test("starts what the agent's user may not execute as if nobody might: by its shebang, and a program not at all", async () => {
    const file = write('x.sh', '#!/bin/sh -e\n', 0o744);
    const program = write('program', '\x7fELF', 0o744);
    await asNobody(async () => {
      assert.deepEqual((await catalog.resolve('x')).command, process.getuid?.() === 0 ? ['/bin/sh', '-e', file] : [file]);
      const message = `${program} is a program that this user may not execute; run: chmod a+x ${program}`;
      if (process.getuid?.() === 0) await assert.rejects(catalog.resolve('program'), { code: 'cannot-start', message });
    });
    chmodSync(file, 0o755);
    assert.deepEqual((await catalog.resolve('x')).command, [file]);
  });
  test('lists what links lead to, and does not go round in circles', () => {
    write('releases/1/x.sh');
    symlinkSync('releases/1', path.join(root, 'current'));
    symlinkSync('..', path.join(root, 'releases/back'));
    symlinkSync('.', path.join(root, 'here'));
    assert.deepEqual(catalog.names(), ['current/x.sh', 'releases/1/x.sh']);
  });
  test('sees a new, changed, replaced and removed script at once', async () => {
    await fails('no-such-script', 'x');
    write('x.sh', 'echo 1');
    const first = await catalog.resolve('x');
    write('x.sh', 'echo 2');
    const second = await catalog.resolve('x');
    assert.notEqual(second.sha256, first.sha256);
    write('x.new', 'echo 3');
    renameSync(path.join(root, 'x.new'), path.join(root, 'x.sh'));
    assert.notEqual((await catalog.resolve('x')).sha256, second.sha256);
    rmSync(path.join(root, 'x.sh'));
    await fails('no-such-script', 'x');
  });
  test('sees a change that keeps size and modification time', async () => {
    const file = write('x.sh', 'echo 1');
    const time = new Date('2020-01-01');
    utimesSync(file, time, time);
    const first = await catalog.resolve('x');
    writeFileSync(file, 'echo 2');
    utimesSync(file, time, time);
    assert.notEqual((await catalog.resolve('x')).sha256, first.sha256);
  });
  test('sees a changed mode of a script that it knows', async () => {
    const file = write('x.sh');
    await catalog.resolve('x');
    chmodSync(file, 0o777);
    await fails('unsafe-script', 'x');
    chmodSync(file, 0o644);
    assert.equal((await catalog.resolve('x')).command.length, 2);
  });
  test('sees a new, changed and removed manifest, and quarantines one script alone', async () => {
    write('x.sh');
    write('y.sh');
    assert.equal((await catalog.resolve('x')).manifest.timeout, undefined);
    write('x.yaml', 'timeout: 7s', 0o644);
    assert.equal((await catalog.resolve('x')).manifest.timeout, 7000);
    write('x.yaml', 'timeout: 7', 0o644);
    await fails('broken-manifest', 'x');
    await catalog.resolve('y');
    rmSync(path.join(root, 'x.yaml'));
    assert.equal((await catalog.resolve('x')).manifest.timeout, undefined);
  });
  test('takes links within the folder, and the manifest beside the link', async () => {
    write('real/x.sh');
    symlinkSync('real/x.sh', path.join(root, 'linked.sh'));
    write('linked.yaml', 'timeout: 3s', 0o644);
    const script = await catalog.resolve('linked');
    assert.equal(script.name, 'linked.sh');
    assert.equal(script.manifest.timeout, 3000);
  });
  test('takes a folder that is itself a link', async () => {
    write('x.sh');
    const link = `${root}-link`;
    symlinkSync(root, link);
    try {
      assert.equal(
        (
          await new Catalog({
            root: link,
            searchPath: '',
            settle: 0,
            approvals: new Approvals({ approvals: '', 'require-approval': false }),
          }).resolve('x')
        ).name,
        'x.sh',
      );
    } finally {
      rmSync(link);
    }
  });
  test('refuses a manifest that leads out of the folder', async () => {
    write('x.sh');
    symlinkSync('/etc/hostname', path.join(root, 'x.yaml'));
    await fails('outside-folder', 'x');
  });
  test('waits for a script that was changed a moment ago, and takes what stands there then', async () => {
    catalog = open(300);
    const file = write('x.sh', 'echo half');
    const pending = catalog.resolve('x');
    writeFileSync(file, 'echo whole, and more');
    const { sha256 } = await pending;
    assert.equal(sha256, (await open(0).resolve('x')).sha256);
  });
  test('waits for a manifest that was changed a moment ago: half of one can be valid', async () => {
    catalog = open(300);
    write('x.sh');
    await catalog.resolve('x');
    write('x.yaml', 'description: x\n', 0o644);
    const pending = catalog.resolve('x');
    writeFileSync(path.join(root, 'x.yaml'), 'description: x\ntimeout: 9s\n');
    assert.equal((await pending).manifest.timeout, 9000);
  });
  test('never runs an empty script: it would be a success, and most likely it is being copied', async () => {
    write('x.sh', '');
    await fails('unsettled-script', 'x');
    write('x.sh');
    await catalog.resolve('x');
  });
  test('refuses a script that does not come to rest', async () => {
    catalog = open(200); // a machine that stands still for so long would let the file come to rest
    const file = write('x.sh', '');
    const writer = setInterval(() => writeFileSync(file, String(Math.random())), 2);
    try {
      await fails('unsettled-script', 'x');
    } finally {
      clearInterval(writer);
    }
  });
  test('does not wait for a script that it knows, nor for one with a time in the future', async () => {
    catalog = open(600_000);
    const pending = open(200);
    write('x.sh');
    await soon('an answer', pending.resolve('x'));
    await soon('an answer', pending.resolve('x'));
  });
});
