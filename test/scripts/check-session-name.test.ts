import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { base64, invoke, payload, temporaryFolder } from './invoke.ts';

const SCRIPT = 'check-session-name.py';
const SUCCESS = { result: 'success' };
const custom = { 'session-name-format': 'CR' };
const named = (name: unknown): unknown => ({ session: { 'session-name': name }, 'custom-data': custom });

test('a session without a change number is refused with what to do', async () => {
  const { code, stdout, stderr } = await invoke(SCRIPT, { args: [base64(payload('checkpoint/before-publish.json'))] });
  assert.equal(stderr, '');
  assert.equal(code, 0);
  assert.deepEqual(JSON.parse(stdout), {
    result: 'failure',
    message: 'This session is named "quick fix". Name it CR-NUMBER, for instance CR-1042, and publish again.',
  });
});

test('a session with a change number may be published', async () => {
  const { code, stdout, stderr } = await invoke(SCRIPT, { args: [base64(named('CR-1042'))] });
  assert.equal(stderr, '');
  assert.deepEqual(JSON.parse(stdout), SUCCESS);
  assert.equal(code, 0);
});

for (const name of ['CR-', 'CR1042', 'cr-1042', 'CR-1042 and more', 'CR-1042\n', 'see CR-1042', 'CR-10４2', '', null]) {
  test(`the session name ${JSON.stringify(name)} is refused`, async () => {
    const { code, stdout } = await invoke(SCRIPT, { args: [base64(named(name))] });
    assert.match(stdout, /^\{"result": "failure", "message": "[^\n]+"\}\n$/);
    assert.equal(code, 0);
  });
}

test('a prefix is text and not a pattern', async () => {
  const { stdout } = await invoke(SCRIPT, {
    args: [base64({ session: { 'session-name': 'CRX-1' }, 'custom-data': { 'session-name-format': 'CR.' } })],
  });
  assert.match(stdout, /"failure"/);
});

test('the payload file is read instead of the argument', async (context) => {
  const file = path.join(temporaryFolder(context), 'payload.json');
  writeFileSync(file, JSON.stringify(named('CR-7')));
  const { code, stdout } = await invoke(SCRIPT, { args: ['too long to be passed'], env: { MEDIATOR_PAYLOAD_FILE: file } });
  assert.deepEqual(JSON.parse(stdout), SUCCESS);
  assert.equal(code, 0);
});

test('Base64 with line breaks is read', async () => {
  const lines = base64(named('CR-1042')).replace(/.{20}/g, '$&\n');
  assert.deepEqual(JSON.parse((await invoke(SCRIPT, { args: [lines] })).stdout), SUCCESS);
});

const BAD_INPUT: [what: string, args: string[], reason: RegExp][] = [
  ['no argument', [], /first argument is missing/],
  ['an argument that is not Base64', ['{"session":{}}'], /not Base64/],
  ['Base64 that breaks off', [base64(named('CR-1042')).slice(0, -5)], /not Base64|not JSON/],
  ['Base64 of something else than JSON', [base64(Buffer.from('hello'))], /not JSON/],
  ['bytes that are not UTF-8', [base64(Buffer.from([0x7b, 0xff, 0xfe]))], /not JSON/],
  ['JSON that is no object', [base64([1, 2])], /no session/],
  ['a payload without a session', [base64(payload('checkpoint/after-install-policy.json'))], /no session/],
  ['a SmartTask without custom data', [base64(payload('checkpoint/after-publish.json'))], /"session-name-format"/],
];

for (const [what, args, reason] of BAD_INPUT) {
  test(`${what} gives no verdict, one line and exit code 1`, async () => {
    const { code, stdout, stderr } = await invoke(SCRIPT, { args });
    assert.equal(code, 1);
    assert.equal(stdout, '');
    assert.match(stderr, /^check-session-name: [^\n]+\n$/);
    assert.match(stderr, reason);
  });
}
