import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, suite, test } from 'node:test';
import { Manifest, readManifest } from '../../../agent/catalog/manifest.ts';
import { Failure } from '../../../protocol/failures.ts';
import { temporaryFolder } from '../../helpers/folder.ts';

suite('a manifest', () => {
  const folder = temporaryFolder({ after });
  const file = path.join(folder, 'close.yaml');

  function read(text: string): Manifest {
    writeFileSync(file, text);
    return readManifest(file).manifest;
  }

  function broken(name: string): string {
    try {
      readManifest(name);
    } catch (error) {
      assert.ok(error instanceof Failure && error.code === 'broken-manifest');
      return error.message;
    }
    assert.fail('it was read');
  }

  test('that does not exist, or is empty, has all defaults', () => {
    const defaults = Manifest.parse({});
    assert.equal(defaults['on-caller-loss'], 'finish');
    assert.deepEqual(readManifest(path.join(folder, 'none.yaml')).manifest, defaults);
    assert.deepEqual(read(''), defaults);
    assert.deepEqual(read('# nothing\n'), defaults);
  });
  test('takes every field that scripts/README.md names', () => {
    const text = [
      'description: Tells the owner',
      'host: securechange',
      'kind: trigger',
      'timeout: 90s',
      'grace: 0s',
      'interpreter: [/opt/venv/bin/python3, -u]',
      'cwd: state',
      'env: { SC_URL: "https://sc.example", N: "1" }',
      'secrets: [SC_PASSWORD]',
      'concurrency: 2',
      'serialize: ticket',
      'on-caller-loss: kill',
      'output-limit: 64MiB',
      'limits: { memory: 512MiB, processes: 64, cpu: 1.5 }',
      'events: [CLOSE, CANCEL]',
    ].join('\n');
    assert.deepEqual(read(text), {
      ...Manifest.parse({}),
      description: 'Tells the owner',
      host: 'securechange',
      kind: 'trigger',
      timeout: 90_000,
      grace: 0,
      interpreter: ['/opt/venv/bin/python3', '-u'],
      cwd: 'state',
      env: { SC_URL: 'https://sc.example', N: '1' },
      secrets: ['SC_PASSWORD'],
      concurrency: 2,
      serialize: 'ticket',
      'on-caller-loss': 'kill',
      'output-limit': 64 * 1024 ** 2,
      limits: { memory: 512 * 1024 ** 2, processes: 64, cpu: 1.5 },
      events: ['CLOSE', 'CANCEL'],
    });
  });
  test('with faults has all of them named, with file, line and field', () => {
    writeFileSync(file, 'kind: other\nenv:\n  PORT: 8080\n  ok: x\n  A-B: x\ntimeout: 0s\nsecrets: [a b]\nfoo: 1\n');
    const message = broken(file);
    for (const fault of ['1: kind', '3: env.PORT', '5: env.A-B', '6: timeout', '7: secrets.0', '8: foo']) {
      assert.ok(message.includes(`${file}:${fault}:`), `${fault} in ${message}`);
    }
  });
  test('with limits that are none has each of them named', () => {
    writeFileSync(file, 'limits:\n  memory: 64kB\n  processes: 0\n  cpu: half\n  disk: 1GiB\n');
    const message = broken(file);
    for (const fault of ['2: limits.memory', '3: limits.processes', '4: limits.cpu', '5: limits.disk'])
      assert.ok(message.includes(`${file}:${fault}:`), `${fault} in ${message}`);
  });
  test('with events for a kind whose answer is on stdout is broken: an event without a run would have no answer', () => {
    for (const kind of ['condition', 'assignment', 'risk', 'before']) {
      writeFileSync(file, `kind: ${kind}\nevents: [CLOSE]\n`);
      assert.match(broken(file), /close\.yaml:2: events: /);
    }
    for (const kind of ['trigger', 'pre-assignment', 'validation', 'after'])
      assert.deepEqual(read(`kind: ${kind}\nevents: [CLOSE]\n`).events, ['CLOSE']);
  });
  test('that is no file at all is broken, and a pipe holds nobody up', () => {
    mkdirSync(path.join(folder, 'folder.yaml'));
    assert.match(broken(path.join(folder, 'folder.yaml')), /folder\.yaml/);
    execFileSync('mkfifo', [path.join(folder, 'pipe.yaml')]);
    assert.match(broken(path.join(folder, 'pipe.yaml')), /pipe\.yaml/);
  });
});
