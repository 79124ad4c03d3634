import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { base64, invoke, payload, temporaryFolder } from './invoke.ts';

const SCRIPT = 'policy-report.mjs';
const INSTALLED = 'policy Standard, installed by admin on 2 targets: Success\n  gw-paris\n  gw-milan\n';

test('an installed policy is reported target by target', async () => {
  const { code, stdout, stderr } = await invoke(SCRIPT, { args: [base64(payload('checkpoint/after-install-policy.json'))] });
  assert.equal(stderr, '');
  assert.equal(stdout, INSTALLED);
  assert.equal(code, 0);
});

test('a policy that was not installed is reported with exit code 1', async () => {
  const { code, stdout, stderr } = await invoke(SCRIPT, { args: [base64(payload('checkpoint/after-install-policy-failed.json'))] });
  assert.equal(stderr, '');
  assert.match(stdout, /^policy DMZ, installed by Mickey on 2 targets: Failed$/m);
  assert.match(stdout, /^ {2}gw-milan {2}result=Failed {2}message=connection with the gateway was lost$/m);
  assert.equal(code, 1);
});

for (const [result, expected] of Object.entries({
  Success: 0,
  'succeeded with warnings': 0,
  Failed: 1,
  'partially succeeded': 1,
  Unsuccessful: 1,
  '': 1,
})) {
  test(`the result "${result}" ends with exit code ${expected}`, async () => {
    const { code } = await invoke(SCRIPT, { args: [base64({ installPolicyResult: result })] });
    assert.equal(code, expected);
  });
}

test('entries that are not of the known shape are shown as they are', async () => {
  const tasksResult = ['gw1', null, { status: { code: 3 } }];
  const { code, stdout } = await invoke(SCRIPT, { args: [base64({ installPolicyResult: 'Success', tasksResult })] });
  assert.equal(stdout, 'policy unknown, installed by unknown on 3 targets: Success\n  gw1\n  null\n  unknown  status={"code":3}\n');
  assert.equal(code, 0);
});

test('the report of a thousand targets arrives whole, although the script fails', async () => {
  const tasksResult = Array.from({ length: 1000 }, (_, index) => ({ target: `gateway-${index}` }));
  const { code, stdout } = await invoke(SCRIPT, { args: [base64({ installPolicyResult: 'Failed', tasksResult })] });
  assert.equal(stdout.split('\n').length, 1002);
  assert.equal(code, 1);
});

test('the payload file is read instead of the argument', async (context) => {
  const file = path.join(temporaryFolder(context), 'payload.json');
  writeFileSync(file, payload('checkpoint/after-install-policy.json'));
  const { stdout } = await invoke(SCRIPT, { args: ['too long to be passed'], env: { MEDIATOR_PAYLOAD_FILE: file } });
  assert.equal(stdout, INSTALLED);
});

const BAD_INPUT: [what: string, args: string[], reason: RegExp][] = [
  ['no argument', [], /first argument is missing/],
  ['an argument that is not Base64', ['{"installPolicyResult":"Success"}'], /not Base64/],
  ['Base64 of something else than JSON', [base64(Buffer.from('Success'))], /not JSON/],
  ['JSON that is null', [base64(null)], /no installPolicyResult/],
  ['a payload of another trigger', [base64(payload('checkpoint/after-publish.json'))], /no installPolicyResult/],
];

for (const [what, args, reason] of BAD_INPUT) {
  test(`${what} is refused in one line`, async () => {
    const { code, stdout, stderr } = await invoke(SCRIPT, { args });
    assert.equal(code, 1);
    assert.equal(stdout, '');
    assert.match(stderr, /^policy-report: [^\n]+\n$/);
    assert.match(stderr, reason);
  });
}
