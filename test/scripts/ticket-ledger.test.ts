import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { invoke, payload, temporaryFolder } from './invoke.ts';

const SCRIPT = 'ticket-ledger.pl';
const HEADER = 'time,event,ticket,subject,stage,run';
const TIME = '"\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ"';

test('an event becomes a line of the ledger in the state folder', async (context) => {
  const cwd = temporaryFolder(context);
  const env = { SCW_EVENT: 'CLOSE', MEDIATOR_RUN: '01JD9ZK6Z0Q4V6H7Y8W9X0A1B2' };
  const { code, stdout, stderr } = await invoke(SCRIPT, { stdin: payload('securechange/close.xml'), env, cwd });
  assert.equal(stderr, '');
  assert.equal(code, 0);
  assert.equal(stdout, 'ticket 64 written to tickets.csv\n');
  const [header, line, ...rest] = ledger(cwd);
  assert.equal(header, HEADER);
  const fields = '"CLOSE","64","Open 443 to web tier & API \\(Zürich\\)","Verify and close","01JD9ZK6Z0Q4V6H7Y8W9X0A1B2"';
  assert.match(line ?? '', new RegExp(`^${TIME},${fields}$`));
  assert.deepEqual(rest, []);
});

test('further events are appended under the one header', async (context) => {
  const cwd = temporaryFolder(context);
  for (const [event, file] of [
    ['CREATE', 'create.xml'],
    ['ADVANCE', 'advance.xml'],
  ] as const) {
    await invoke(SCRIPT, { stdin: payload(`securechange/${file}`), env: { SCW_EVENT: event }, cwd });
  }
  const [header, first, second] = ledger(cwd);
  assert.equal(header, HEADER);
  assert.match(first ?? '', /"CREATE","65","Reach the backup server from the DMZ","Open request",""$/);
  assert.match(second ?? '', /"ADVANCE","64",.*,"Business approval",""$/);
});

test('runs that write at once neither lose nor tear a line', async (context) => {
  const cwd = temporaryFolder(context);
  const ids = Array.from({ length: 20 }, (_, index) => index + 100);
  const results = await Promise.all(ids.map((id) => invoke(SCRIPT, { stdin: `<ticket_info><id>${id}</id></ticket_info>`, cwd })));
  assert.deepEqual(new Set(results.map(({ code }) => code)), new Set([0]));
  const [header, ...lines] = ledger(cwd);
  assert.equal(header, HEADER);
  assert.deepEqual(lines.map((line) => Number(line.split('","')[2])).sort(), ids);
});

test('quotes are doubled and a formula is defused', async (context) => {
  const cwd = temporaryFolder(context);
  const subject = '=HYPERLINK(&quot;http://192.0.2.1&quot;,&quot;a &amp;lt; b&quot;)';
  await invoke(SCRIPT, { stdin: `<ticket_info><id>9</id><subject>${subject}</subject></ticket_info>`, cwd });
  assert.match(ledger(cwd)[1] ?? '', /,"9","'=HYPERLINK\(""http:\/\/192\.0\.2\.1"",""a &lt; b""\)","",""$/);
});

for (const ending of ['', '\n']) {
  test(`the Test button writes nothing, ${ending ? 'with' : 'without'} a newline at the end`, async (context) => {
    const cwd = temporaryFolder(context);
    const stdin = payload('securechange/test-button.xml').toString() + ending;
    const { code, stdout } = await invoke(SCRIPT, { stdin, env: { SCW_EVENT: 'TEST' }, args: ['test'], cwd });
    assert.equal(code, 0);
    assert.match(stdout, /^test: /);
    assert.equal(existsSync(path.join(cwd, 'tickets.csv')), false);
  });
}

for (const [what, stdin] of Object.entries({
  'an empty stdin': '',
  'text that is not XML': 'ticket 64\n',
  'a ticket without an id': '<ticket_info><subject>x</subject></ticket_info>',
  'an id that is no number': '<ticket_info><id>x</id></ticket_info>',
  'XML that breaks off': payload('securechange/close.xml').subarray(0, 16),
})) {
  test(`${what} is refused in one line, and nothing is written`, async (context) => {
    const cwd = temporaryFolder(context);
    const { code, stdout, stderr } = await invoke(SCRIPT, { stdin, cwd });
    assert.equal(code, 1);
    assert.equal(stdout, '');
    assert.match(stderr, /^ticket-ledger: [^\n]+\n$/);
    assert.equal(existsSync(path.join(cwd, 'tickets.csv')), false);
  });
}

test('a ledger that cannot be opened fails the script, so that SecureChange tries again', async (context) => {
  const cwd = temporaryFolder(context);
  mkdirSync(path.join(cwd, 'tickets.csv'));
  const { code, stderr } = await invoke(SCRIPT, { stdin: payload('securechange/close.xml'), cwd });
  assert.equal(code, 1);
  assert.match(stderr, /^ticket-ledger: cannot open tickets\.csv: /);
});

function ledger(folder: string): string[] {
  return readFileSync(path.join(folder, 'tickets.csv'), 'utf8').trimEnd().split('\n');
}
