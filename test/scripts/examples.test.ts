import assert from 'node:assert/strict';
import { accessSync, constants, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Manifest, readManifest } from '../../agent/catalog/manifest.ts';
import { INTERPRETERS } from '../../agent/config/interpreters.ts';
import { SCRIPTS, payload } from './invoke.ts';

const contract = readFileSync(path.join(SCRIPTS, 'README.md'), 'utf8');
const names = readdirSync(SCRIPTS);
const examples = names.filter((name) => /\.(py|pl|mjs|sh)$/.test(name));

test('there are examples in Python, Perl, Node and bash', () => {
  assert.deepEqual(new Set(examples.map((name) => path.extname(name))), new Set(['.py', '.pl', '.mjs', '.sh']));
});

for (const name of examples) {
  test(`${name} is executable, has a shebang, and only its owner may write to it`, () => {
    const file = path.join(SCRIPTS, name);
    accessSync(file, constants.X_OK);
    assert.match(readFileSync(file, 'utf8'), /^#!\/usr\/bin\/env \w+\n/);
    assert.equal(statSync(file).mode & 0o022, 0);
  });

  test(`${name} has a manifest without faults, and is listed in the contract`, () => {
    const { manifest } = readManifest(path.join(SCRIPTS, `${path.parse(name).name}.yaml`));
    assert.ok(manifest.host);
    assert.ok(manifest.kind);
    assert.ok(contract.includes(`\n| \`${name}\` |`));
  });
}

test('the contract explains every field of a manifest, and no others', () => {
  const table = contract.slice(contract.indexOf('\n## Manifest'), contract.indexOf('\n## What to print'));
  const fields = Array.from(table.matchAll(/^\| `([\w-]+)` \|/gm), ([, field]) => field);
  assert.deepEqual(fields.toSorted(), Object.keys(Manifest.shape).toSorted());
});

test('the contract names the interpreter of every extension', () => {
  const line = /^3\. The extension: (.*)\. `node`/m.exec(contract)?.[1] ?? '';
  const pairs = line.split(' · ').flatMap((group) => {
    const words = group.split(' ');
    return words.slice(0, -1).map((extension) => [extension.replaceAll('`', ''), words.at(-1)]);
  });
  assert.deepEqual(Object.fromEntries(pairs), INTERPRETERS);
});

test('no two examples answer to one name', () => {
  const bare = examples.map((name) => path.parse(name).name);
  assert.equal(new Set(bare).size, bare.length);
});

test('ticket payloads are one line as SecureChange sends them', () => {
  for (const name of ['close', 'create', 'advance', 'test-button']) {
    assert.equal(payload(`securechange/${name}.xml`).includes('\n'), false, name);
  }
  assert.equal(payload('securechange/test-button.xml').toString(), '<ticket_info/>');
});
