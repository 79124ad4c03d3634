import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { suite, test } from 'node:test';
import { readTasks } from '../../agent/tasks/folder.ts';
import { temporaryFolder } from '../helpers/folder.ts';

const TASK = { name: 'T', trigger: 'CLOSE', enabled: true, action: { 'run-script': { 'repository-script': 'x.sh' } } };

suite('a task file', () => {
  test('may be YAML or JSON, in a folder or not, and is off unless it says otherwise', (context) => {
    const folder = temporaryFolder(context);
    mkdirSync(path.join(folder, 'sub'));
    writeFileSync(
      path.join(folder, 'a.task.yaml'),
      'name: A\ntrigger: Before Publish\naction: { run-script: { repository-script: a.py } }\n',
    );
    writeFileSync(path.join(folder, 'sub/b.task.json'), JSON.stringify({ ...TASK, name: 'B', 'custom-data': '{"x":1}' }));
    writeFileSync(path.join(folder, 'c.yaml'), 'kind: trigger\n');
    const entries = readTasks(folder, () => undefined);
    assert.deepEqual(
      entries.map(({ file, problem, task }) => [file, problem, task?.name, task?.enabled, task?.['custom-data']]),
      [
        ['a.task.yaml', '', 'A', false, {}],
        ['sub/b.task.json', '', 'B', true, { x: 1 }],
      ],
    );
    assert.deepEqual(
      entries.slice(0, 1).map(({ task }) => [task?.action['run-script'], task?.['fail-open']]),
      [[{ 'repository-script': 'a.py', 'time-out': 30 }, true]],
    );
  });

  const web = { url: 'https://x.example/' };
  const mail = { 'smtp-server': 's', 'mail-settings': { recipients: 'a@x.example', 'sender-email': 'b@x.example' } };
  const FAULTS: [what: string, fields: Record<string, unknown>, field: string][] = [
    ['two actions', { action: { ...TASK.action, 'send-web-request': web } }, 'action'],
    ['no action', { action: {} }, 'action'],
    ['an action that does not exist', { action: { reboot: {} } }, 'action.reboot'],
    [
      'a time-out in milliseconds',
      { action: { 'run-script': { 'repository-script': 'x', 'time-out': 30_000 } } },
      'action.run-script.time-out',
    ],
    ['an http URL', { action: { 'send-web-request': { url: 'http://x.example/' } } }, 'action.send-web-request.url'],
    ['half a fingerprint', { action: { 'send-web-request': { ...web, fingerprint: 'AB:CD' } } }, 'action.send-web-request.fingerprint'],
    [
      'a recipient that is no address',
      { action: { 'send-mail': { ...mail, 'mail-settings': { ...mail['mail-settings'], recipients: 'a@x.example,nobody' } } } },
      'action.send-mail.mail-settings.recipients',
    ],
    ['custom data that is a list', { 'custom-data': '[1]' }, 'custom-data'],
    ['no name', { name: '' }, 'name'],
    ['an unknown field', { 'fail-closed': true }, 'fail-closed'],
  ];
  for (const [what, fields, field] of FAULTS) {
    test(`with ${what} is out of order, and the message names file, line and field`, (context) => {
      const folder = temporaryFolder(context);
      writeFileSync(path.join(folder, 'a.task.json'), JSON.stringify({ ...TASK, ...fields }, null, 1));
      const [entry] = readTasks(folder, () => undefined);
      assert.equal(entry?.task, undefined);
      assert.match(entry?.problem ?? '', new RegExp(`a\\.task\\.json:\\d+: ${field.replaceAll('.', '\\.')}`));
    });
  }

  test('with the name of another puts both out of order; a third is not touched', (context) => {
    const folder = temporaryFolder(context);
    for (const [file, name] of [
      ['a', 'Same'],
      ['b', 'Same'],
      ['c', 'Other'],
    ]) {
      writeFileSync(path.join(folder, `${file ?? ''}.task.json`), JSON.stringify({ ...TASK, name }));
    }
    const entries = readTasks(folder, () => undefined);
    assert.deepEqual(
      entries.map(({ problem }) => problem !== ''),
      [true, true, false],
    );
    assert.match(entries[0]?.problem ?? '', /a\.task\.json and b\.task\.json/);
  });

  test('that others can write is out of order', (context) => {
    const folder = temporaryFolder(context);
    writeFileSync(path.join(folder, 'a.task.json'), JSON.stringify(TASK));
    const [entry] = readTasks(folder, () => {
      throw new Error('writable by others');
    });
    assert.equal(entry?.problem, 'writable by others');
  });
});
