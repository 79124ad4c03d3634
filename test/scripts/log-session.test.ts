import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { base64, invoke, payload, temporaryFolder } from './invoke.ts';

const SCRIPT = 'log-session.sh';
const PREFIX = '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ \\S+ log-session\\[\\d+\\]: published ';
const WITH_JQ = { skip: spawnSync('jq', ['--version']).status === 0 ? false : 'jq is not installed' };

test('a published session is logged in one line', WITH_JQ, async () => {
  const { code, stdout, stderr } = await invoke(SCRIPT, { args: [base64(payload('checkpoint/after-publish.json'))] });
  assert.equal(stderr, '');
  assert.equal(code, 0);
  const who = 'user="Mickey" session="CR-1042" domain="SMC User"';
  const what = 'added="host web-01" modified="network dmz-net" deleted="host old-web"';
  assert.match(stdout, new RegExp(`${PREFIX}${who} ${what}\\n$`));
});

test('a payload without operations is logged as such', WITH_JQ, async () => {
  const { code, stdout } = await invoke(SCRIPT, { args: [base64({ session: { 'user-name': 'Mickey' } })] });
  assert.match(stdout, new RegExp(`${PREFIX}user="Mickey" session="" domain="" changes=unknown\\n$`));
  assert.equal(code, 0);
});

test('a line break in a name does not start a second line', WITH_JQ, async () => {
  const session = { 'user-name': 'Mickey', 'session-name': 'CR-1\n2024-01-01T00:00:00Z fw log-session[1]: published user="root"' };
  const { stdout } = await invoke(SCRIPT, { args: [base64({ session })] });
  assert.equal(stdout.split('\n').length, 2);
});

test('more than ten objects are counted instead of named', WITH_JQ, async () => {
  const added = Array.from({ length: 13 }, (_, index) => ({ type: 'host', name: `h${index}` }));
  const { stdout } = await invoke(SCRIPT, { args: [base64({ session: {}, operations: { 'added-objects': added } })] });
  assert.match(stdout, / added="host h0, .*host h9 and 3 more" modified="" deleted=""\n$/);
});

test('without jq the payload itself is logged in one line', async (context) => {
  const env = { PATH: pathWithoutJq(context) };
  const pretty = Buffer.from(JSON.stringify({ session: { 'user-name': 'Mickey' } }, null, 2));
  const { code, stdout, stderr } = await invoke(SCRIPT, { args: [base64(pretty)], env });
  assert.equal(stderr, '');
  assert.equal(code, 0);
  assert.match(stdout, new RegExp(`${PREFIX}payload=\\{ .*"user-name": "Mickey".*\\}\\n$`));
});

test('the payload file is read instead of the argument', async (context) => {
  const folder = temporaryFolder(context);
  const file = path.join(folder, 'payload.json');
  writeFileSync(file, payload('checkpoint/after-publish.json'));
  const { code, stdout } = await invoke(SCRIPT, { args: ['too long to be passed'], env: { MEDIATOR_PAYLOAD_FILE: file } });
  assert.equal(code, 0);
  assert.match(stdout, /CR-1042/);
});

const BAD_INPUT: [what: string, args: string[], reason: RegExp][] = [
  ['no argument', [], /first argument is missing/],
  ['an argument that is not Base64', ['{"session":{}}'], /not Base64/],
  ['Base64 of something else than JSON', [base64(Buffer.from('hello'))], /not JSON/],
];

for (const [what, args, reason] of BAD_INPUT) {
  for (const jq of [true, false]) {
    test(`${what} is refused in one line, ${jq ? 'with' : 'without'} jq`, jq ? WITH_JQ : {}, async (context) => {
      const { code, stdout, stderr } = await invoke(SCRIPT, { args, env: jq ? {} : { PATH: pathWithoutJq(context) } });
      assert.equal(code, 1);
      assert.equal(stdout, '');
      assert.match(stderr, /^log-session: [^\n]+\n$/);
      assert.match(stderr, reason);
    });
  }
}

for (const [what, value] of Object.entries({
  'JSON that breaks off': Buffer.from('{"session":'),
  'a payload of another trigger': payload('checkpoint/after-install-policy.json'),
})) {
  test(`${what} is refused with the reason that jq gives`, WITH_JQ, async () => {
    const { code, stdout, stderr } = await invoke(SCRIPT, { args: [base64(value)] });
    assert.equal(code, 1);
    assert.equal(stdout, '');
    assert.match(stderr, /^(jq|parse error)\b.*: .*\nlog-session: [^\n]+\n$/);
  });
}

/** A PATH with what the script needs, and no jq. */
function pathWithoutJq(context: TestContext): string {
  const folder = path.join(temporaryFolder(context), 'bin');
  mkdirSync(folder);
  for (const tool of ['bash', 'base64']) {
    const found = spawnSync('bash', ['-c', 'type -P "$1"', '-', tool], { encoding: 'utf8' }).stdout.trim();
    assert.notEqual(found, '', `${tool} is not installed`);
    symlinkSync(found, path.join(folder, tool));
  }
  return folder;
}
