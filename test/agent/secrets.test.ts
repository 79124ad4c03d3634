/** Secrets of manifests: callers get every byte, history and log do not. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { dialRunner } from '../../agent/wire/dial.ts';
import { encodeStubMessage } from '../../protocol/messages.ts';
import { decodeAgentMessage } from '../../protocol/records.ts';
import { startAgent, type TestAgent } from '../helpers/agent.ts';
import { dial, invoke, startMessage } from '../helpers/stub.ts';
import { until } from '../helpers/wait.ts';

const SECRET = 'correct horse battery';
const HIDDEN = '*'.repeat(SECRET.length);
const ENVELOPE = `<ticket_info><id>4711</id><subject>with ${SECRET}</subject><requester>${SECRET}</requester></ticket_info>`;

suite('a secret that a script prints', () => {
  let agent: TestAgent;
  before(async () => {
    agent = await startAgent({ settings: { credentials: 'credentials' } });
    mkdirSync(path.join(agent.dir, 'credentials'), { mode: 0o700 });
    credential('PASSWORD', `${SECRET}\n`);
  });
  after(() => agent.close());

  function credential(name: string, value: string): void {
    writeFileSync(path.join(agent.dir, 'credentials', name), value, { mode: 0o600 });
  }

  const logs = async (run: string | undefined): Promise<string> => {
    const { code, stdout, stderr } = await agent.command(['runs', 'logs'], [run ?? '']);
    assert.equal(code, 0, stderr);
    return `${stdout}|${stderr}`;
  };

  test('reaches its caller byte for byte, and no history; also not after it was changed', async () => {
    const source = '#!/bin/sh\nprintf "a %s b" "$PASSWORD"; printf "%s" "$PASSWORD" | base64; echo "err $PASSWORD" >&2\n';
    agent.script('leaky.sh', source, { manifest: 'secrets: [PASSWORD]\n' });
    const { run, stdout, stderr, terminal } = await invoke(agent, { script: 'leaky' });
    const encoded = `${Buffer.from(SECRET).toString('base64')}\n`;
    assert.equal(stdout.toString(), `a ${SECRET} b${encoded}`);
    assert.equal(stderr.toString(), `err ${SECRET}\n`);
    assert.equal(terminal.stdout, stdout.length);
    credential('PASSWORD', 'another one\n');
    const shown = await logs(run);
    credential('PASSWORD', `${SECRET}\n`);
    assert.equal(shown, `a ${HIDDEN} b${'*'.repeat(encoded.length - 1)}\n|err ${HIDDEN}\n`);
    assert.equal((await agent.command(['runs', 'verify'])).code, 0);
  });

  test('in two pieces is held back until it is known what it is, and a reader sees all else as it comes', async () => {
    const go = path.join(agent.dir, 'go');
    const source = `#!/bin/bash\nprintf 'before %s' "\${PASSWORD:0:9}"\nuntil [ -e ${go} ]; do sleep 0.02; done\nprintf '%s after' "\${PASSWORD:9}"\n`;
    agent.script('slow.sh', source, { manifest: 'secrets: [PASSWORD]\n' });
    const call = await dial(agent);
    call.send(startMessage({ script: 'slow' }));
    call.send({ type: 'end', stdin: 0 });
    const run = await call.accepted();
    await until('the caller has the first piece', () => call.stdout.toString() === `before ${SECRET.slice(0, 9)}`);
    const reader = await dialRunner(agent.socket);
    let shown = '';
    let ended = false;
    reader.onMessage((data) => {
      const message = decodeAgentMessage(data);
      if (message.type === 'output') shown += message.data.toString();
      if (message.type === 'terminal') ended = true;
    });
    reader.send(encodeStubMessage({ type: 'read', run, stdout: 0, stderr: 0, accept: { frame: 65_536, bulk: 2 } }));
    await until('the reader has what is safe', () => shown === 'before ');
    writeFileSync(go, '');
    await until('the reader hears of the end', () => ended);
    reader.close(1000);
    assert.equal(shown, `before ${HIDDEN} after`);
    assert.equal((await call.terminal()).code, 0);
    assert.equal(call.stdout.toString(), `before ${SECRET} after`);
  });

  test('and that its caller sends stands in no listing, no export, no message, no log and no page of the journal that lists', async () => {
    agent.script('bad.sh', '#!/bin/sh\nprintf \'{"result":"%s"}\' "$PASSWORD"\n', { manifest: 'kind: before\nsecrets: [PASSWORD]\n' });
    const { run } = await invoke(
      agent,
      { script: 'bad', host: 'securechange', args: [`--password=${SECRET}`], env: { SCW_NOTE: SECRET } },
      { stdin: ENVELOPE },
    );
    const row = await agent.run(run ?? '');
    assert.match(row.message, /verdict/);
    const said = [JSON.stringify(row)];
    for (const command of [
      ['runs', 'list', '--json'],
      ['runs', 'show', run ?? ''],
      ['runs', 'export'],
    ]) {
      const [group = '', verb = '', ...rest] = command;
      const { code, stdout, stderr } = await agent.command([group, verb], rest);
      assert.equal(code, 0, stderr);
      said.push(stdout);
    }
    said.push(JSON.stringify(agent.logSoFar()));
    for (const text of said) {
      assert.ok(text.includes('bad.sh'));
      assert.ok(!text.includes(SECRET), text);
    }
  });

  test('is not looked for if it is too short: then the script does not run, and the message says what to do', async () => {
    credential('PIN', '1234\n');
    agent.script('pin.sh', '#!/bin/sh\necho run\n', { manifest: 'secrets: [PIN]\n' });
    const { terminal } = await invoke(agent, { script: 'pin' });
    assert.deepEqual([terminal.outcome, terminal.code], ['refused', 126]);
    assert.match(terminal.message, /the secret PIN is shorter than 6 bytes/);
    assert.ok(!terminal.message.includes('1234'));
  });

  test('more often than places are kept is hidden all the same, with all that follows', async () => {
    agent.script('often.sh', '#!/bin/bash\nfor ((i = 0; i < 16500; i++)); do echo "$PASSWORD"; done\necho end\n', {
      manifest: 'secrets: [PASSWORD]\n',
    });
    const { run, stdout } = await invoke(agent, { script: 'often' });
    assert.equal(stdout.toString(), `${`${SECRET}\n`.repeat(16_500)}end\n`);
    const shown = await logs(run);
    assert.ok(!shown.includes(SECRET));
    assert.ok(shown.startsWith(`${HIDDEN}\n`));
    assert.equal(readFileSync(agent.spoolFile(run ?? '', 'masks')).length, 16 + 24 * 16_385);
    assert.ok(execFileSync('tail', ['-c', '40', agent.spoolFile(run ?? '', 'stdout')]).includes('end'));
  });
});
