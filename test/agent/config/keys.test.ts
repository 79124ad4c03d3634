import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, suite, test } from 'node:test';
import { loadKeys, mayCall } from '../../../agent/config/keys.ts';
import { temporaryFolder } from '../../helpers/folder.ts';

const SECRET = 's'.repeat(43);

suite('keys.yaml', () => {
  const file = path.join(temporaryFolder({ after }), 'keys.yaml');

  function load(text: string, mode = 0o600): ReturnType<typeof loadKeys> {
    writeFileSync(file, text);
    chmodSync(file, mode);
    return loadKeys(file);
  }

  function faults(text: string, mode?: number): [line: number, field: string][] {
    const parsed = load(text, mode);
    assert.ok(!parsed.ok);
    return parsed.problems.map(({ line, field }) => [line, field]);
  }

  test('gives its keys; a key may call every script unless it says otherwise', () => {
    const parsed = load(`keys:\n  - { id: a, secret: ${SECRET} }\n  - { id: b, secret: ${SECRET}, scripts: [close-*] }\n`);
    assert.ok(parsed.ok);
    assert.deepEqual(parsed.value, [
      { id: 'a', secret: SECRET, scripts: ['**'] },
      { id: 'b', secret: SECRET, scripts: ['close-*'] },
    ]);
  });
  test('that others may read is refused', () => {
    for (const mode of [0o640, 0o604, 0o620, 0o644]) assert.deepEqual(faults(`keys:\n  - { id: a, secret: ${SECRET} }\n`, mode), [[0, '']]);
  });
  test('as Kubernetes mounts it, a link to a file of mode 0440, is taken in the folder of credentials alone; what the world may read, nowhere', (t) => {
    const folder = path.join(path.dirname(file), 'credentials');
    mkdirSync(path.join(folder, '..data'), { recursive: true });
    const behind = path.join(folder, '..data/keys.yaml');
    writeFileSync(behind, `keys:\n  - { id: a, secret: ${SECRET} }\n`);
    symlinkSync('..data/keys.yaml', path.join(folder, 'keys.yaml'));
    const taken = (mode: number): boolean => {
      chmodSync(behind, mode);
      return loadKeys(path.join(folder, 'keys.yaml')).ok;
    };
    assert.ok(!taken(0o440));
    const before = process.env.CREDENTIALS_DIRECTORY;
    process.env.CREDENTIALS_DIRECTORY = folder;
    t.after(() => (before === undefined ? delete process.env.CREDENTIALS_DIRECTORY : (process.env.CREDENTIALS_DIRECTORY = before)));
    assert.deepEqual([0o400, 0o440, 0o444, 0o644, 0o460].map(taken), [true, true, false, false, false]);
  });
  test('has every fault told at once: a field, an id that stands twice, and a mode that lets others read', () => {
    const text = `keys:\n  - { id: a, secret: short }\n  - { id: a, secret: ${SECRET} }\n`;
    assert.deepEqual(faults(text, 0o644), [
      [2, 'keys.0.secret'],
      [3, 'keys.1.id'],
      [0, ''],
    ]);
  });
  test('that is missing is refused', () => {
    assert.ok(!loadKeys(`${file}.not`).ok);
  });
  test('with faults is refused, with the line of each', () => {
    const text = `keys:\n  - id: a\n    secret: short\n  - id: "a b"\n    secret: ${SECRET}\n    script: [x]\n`;
    assert.deepEqual(new Set(faults(text).map(String)), new Set(['3,keys.0.secret', '4,keys.1.id', '6,keys.1.script']));
  });
  test('with the same id twice is refused', () => {
    assert.deepEqual(faults(`keys:\n  - { id: a, secret: ${SECRET} }\n  - { id: a, secret: ${SECRET} }\n`), [[3, 'keys.1.id']]);
  });
  test('with the id that stands for the Unix socket is refused: it could read the runs of all others', () => {
    assert.deepEqual(faults(`keys:\n  - { id: local, secret: ${SECRET} }\n`), [[2, 'keys.0.id']]);
  });
});

suite('a key', () => {
  const may = (glob: string, name: string): boolean => mayCall({ id: 'a', secret: SECRET, scripts: [glob] }, name);

  test('may call a script by its name with or without the extension', () => {
    assert.ok(may('close', 'close'));
    assert.ok(may('close', 'close.py'));
    assert.ok(may('close.py', 'close.py'));
    assert.ok(may('dir/*', 'dir/close.py'));
  });
  test('may not call another script whose name only begins like one of its own', () => {
    assert.ok(!may('close', 'close.ticket'));
    assert.ok(!may('close', 'close.d/x.py'));
    assert.ok(!may('close', 'closed'));
    assert.ok(!may('close.py', 'close.py.bak'));
  });
  test('without globs may call nothing', () => {
    assert.ok(!mayCall({ id: 'a', secret: SECRET, scripts: [] }, 'a'));
  });
});
