/** keys.yaml, changed by commands: what people wrote stays. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, beforeEach, suite, test } from 'node:test';
import { createKey, revokeKey, rotateKey } from '../../../agent/config/keys-file.ts';
import { loadKeys, type Key } from '../../../agent/config/keys.ts';
import { temporaryFolder } from '../../helpers/folder.ts';

const [A, B] = ['a'.repeat(43), 'b'.repeat(43)];
const TEXT = `# Who may call what.
keys:
  # The pods of the data centre; ask Ada before you touch it.
  - id: pods # since 2024
    secret: ${A}
    scripts: ["close-*", checkpoint/**] # and no more

  - { id: lab, secret: ${B} } # Bob's

# The end.
`;

suite('a change of keys.yaml', () => {
  const file = path.join(temporaryFolder({ after }), 'keys.yaml');
  const text = (): string => readFileSync(file, 'utf8');
  const keys = (): Key[] => {
    const loaded = loadKeys(file);
    assert.ok(loaded.ok);
    return loaded.value;
  };
  const comments = (of: string): string[] => of.match(/#.*/g) ?? [];
  beforeEach(() => {
    writeFileSync(file, TEXT, { mode: 0o600 });
  });

  test('by create adds a key, and changes nothing else but spaces', () => {
    const secret = createKey(file, 'new', { scripts: ['x', 'y'], networks: ['10.0.0.0/8'], expires: '2030-01-01' });
    assert.deepEqual(keys().at(-1), { id: 'new', secret, scripts: ['x', 'y'], networks: ['10.0.0.0/8'], expires: Date.UTC(2030, 0, 1) });
    assert.deepEqual(comments(text()), comments(TEXT));
    const squeezed = (of: string): string[] => of.replace(/(?<=[[{]) | (?=[\]}])/g, '').split('\n');
    for (const line of squeezed(TEXT)) assert.ok(squeezed(text()).includes(line), line);
    assert.equal(statSync(file).mode & 0o777, 0o600);
  });
  test('by rotate keeps the replaced secrets until their moment, and no longer', () => {
    const until = Date.now() + 60_000;
    const first = rotateKey(file, 'pods', until);
    const second = rotateKey(file, 'pods', until + 1);
    assert.deepEqual(keys()[0], {
      id: 'pods',
      secret: second,
      scripts: ['close-*', 'checkpoint/**'],
      previous: [
        { secret: first, expires: until + 1 },
        { secret: A, expires: until },
      ],
    });
    assert.deepEqual(comments(text()), comments(TEXT));
    assert.notEqual(first, second);
    rotateKey(file, 'lab', 0);
    assert.ok(!text().includes(B), 'without an overlap nothing is kept');
    for (let count = 0; count < 2; count += 1) rotateKey(file, 'pods', until);
    assert.throws(() => rotateKey(file, 'pods', until), /previous: has more than 4/);
    assert.equal(keys()[0]?.previous?.length, 4);
  });
  test('by revoke removes the key, or what rotations have left', () => {
    rotateKey(file, 'pods', Date.now() + 60_000);
    revokeKey(file, 'pods', { previous: true });
    assert.equal(keys()[0]?.previous, undefined);
    assert.ok(!text().includes(A));
    revokeKey(file, 'lab', { previous: false });
    assert.deepEqual(
      keys().map(({ id }) => id),
      ['pods'],
    );
    revokeKey(file, 'pods', { previous: false });
    assert.deepEqual(keys(), []);
    createKey(file, 'pods', {});
    assert.deepEqual(
      keys().map(({ id }) => id),
      ['pods'],
    );
    assert.match(text(), /^# Who may call what\.$/m);
    assert.match(text(), /^# The end\.$/m);
  });
  test('that cannot be is refused, and the file stays as it is, byte for byte', () => {
    for (const [change, message] of [
      [() => createKey(file, 'pods', {}), /there is a key pods already/],
      [() => createKey(file, 'a b', {}), /id: is not an id/],
      [() => createKey(file, 'local', {}), /id: "local" stands for/],
      [() => createKey(file, 'x', { networks: ['10.0.0.0/40'] }), /networks\.0: is not a network: "10\.0\.0\.0\/40"; write for instance /],
      [() => createKey(file, 'x', { expires: 'soon' }), /expires: "soon" is not a date/],
      [() => rotateKey(file, 'x', 0), /has no key "x"; it has: pods, lab/],
      [() => revokeKey(file, 'x', { previous: false }), /has no key "x"/],
    ] as const) {
      assert.throws(change, message);
      assert.equal(text(), TEXT);
      assert.ok(!existsSync(`${file}.new`));
    }
  });
  test('of a file that is broken is refused', () => {
    writeFileSync(file, TEXT.replace(A, 'short'));
    assert.throws(() => createKey(file, 'x', {}), /keys\.yaml:5: keys\.0\.secret/);
    assert.ok(!existsSync(`${file}.new`));
  });
  test('waits for no other command, and is told of it', () => {
    writeFileSync(`${file}.new`, '');
    assert.throws(() => createKey(file, 'x', {}), /another command changes the keys/);
    assert.equal(text(), TEXT);
    assert.ok(existsSync(`${file}.new`), 'it belongs to the other command');
    rmSync(`${file}.new`);
  });
  test('goes to the file that a link names', () => {
    const link = path.join(path.dirname(file), 'link.yaml');
    symlinkSync(file, link);
    createKey(link, 'x', {});
    assert.ok(text().includes('id: x'));
    assert.ok(statSync(link).ino === statSync(file).ino);
  });
});
