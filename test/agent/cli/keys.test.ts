/** `mediator-agent keys`, as a user types it, with real stubs that carry the keys. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { z } from 'zod';
import { assertCalled, assertRefused, makeStub, type Stub } from '../../e2e/stubs.ts';
import { invoke } from '../../helpers/stub.ts';
import { startAgent, type TestAgent } from '../../helpers/agent.ts';
import type { Result } from '../../helpers/command.ts';
import { until } from '../../helpers/wait.ts';

const Listed = z.object({
  id: z.string(),
  state: z.string(),
  scripts: z.array(z.string()),
  networks: z.array(z.string()),
  expires: z.string().nullable(),
  last_used: z.string().nullable(),
  last_address: z.string().nullable(),
  previous_until: z.string().nullable(),
  previous_last_used: z.string().nullable(),
});

suite('keys', () => {
  let agent: TestAgent;
  let file: string;
  before(async () => {
    agent = await startAgent();
    file = path.join(agent.dir, 'keys.yaml');
    agent.script('hello.sh', '#!/bin/bash\necho "hello $SCW_EVENT"\n');
    agent.script('other.sh', '#!/bin/bash\necho other\n');
  });
  after(() => agent.close());

  async function keys(args: string[], code = 0): Promise<Result> {
    const result = await agent.command(['keys', args[0] ?? ''], args.slice(1));
    assert.equal(result.code, code, result.stderr);
    return result;
  }
  async function listed(id: string): Promise<z.output<typeof Listed>> {
    const { stdout } = await keys(['list', '--json']);
    const all = stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => Listed.parse(JSON.parse(line)));
    const found = all.find((key) => key.id === id);
    assert.ok(found, stdout);
    return found;
  }
  const stubOf = (id: string, options: string[] = []): Promise<Stub> =>
    makeStub(agent, { url: 'ws', name: `${id}/mediator.sh`, options: ['--key', id, ...options] });

  test('that have expired are said to be of no use where they are made or rotated', async () => {
    const warning = /^note that key old expired at 2020-01-01T00:00:00\.000Z, and no stub works with it; set a later date in keys\.yaml$/m;
    assert.match((await keys(['create', 'old', '--scripts', 'hello', '--expires', '2020-01-01'])).stderr, warning);
    assert.match((await keys(['rotate', 'old'])).stderr, warning);
    await keys(['revoke', 'old']);
  });
  test('create makes a key that its stub can use at once, within its limits', async () => {
    const made = await keys([
      'create',
      'limited',
      '--scripts',
      'hel*',
      '--hosts',
      'securechange',
      '--events',
      'CLOSE',
      'TEST',
      '--expires',
      '30d',
    ]);
    assert.equal(made.stdout, '', 'no secret');
    const stub = await stubOf('limited', ['--host', 'securechange']);
    assertCalled(await stub.call(['hello'], { env: { SCW_EVENT: 'CLOSE' } }), { stdout: 'hello CLOSE\n' });
    assertRefused(await stub.call(['hello'], { env: { SCW_EVENT: 'CREATE' } }), 77);
    assertRefused(await stub.call(['hello']), 77);
    assertRefused(await stub.call(['other'], { env: { SCW_EVENT: 'CLOSE' } }), 77);
    assertRefused(await (await stubOf('limited')).call(['hello'], { env: { SCW_EVENT: 'CLOSE' } }), 77);
  });
  test('create refuses what cannot be, and says what', async () => {
    for (const [args, pattern] of [
      [['limited'], /there is a key limited already/],
      [['a b'], /id: is not an id/],
      [['x', '--networks', 'somewhere'], /networks\.0: is not a network: "somewhere"; /],
      [['x', '--expires', 'soon'], /"soon" is not a date/],
      [['x', '--hosts', 'elsewhere'], /securechange, checkpoint, generic/],
    ] as const) {
      assert.match((await keys(['create', ...args], 64)).stderr, pattern);
    }
  });
  test('create --show-secret prints the secret, for callers that have no stub', async () => {
    const { stdout, stderr } = await keys(['create', 'shown', '--show-secret']);
    assert.match(stderr, /^note that it may call every script, and tasks; --scripts makes a key for some$/m);
    assert.match(stdout, /^[\w-]{43}\n$/);
    assert.equal((await invoke(agent, { script: 'hello' }, { key: { id: 'shown', secret: stdout.trim() } })).terminal.code, 0);
  });
  test('a key from elsewhere, and one that has expired, are refused with the reason', async () => {
    await keys(['create', 'elsewhere', '--networks', '192.0.2.0/24', '2001:db8::/32']);
    const foreign = await (await stubOf('elsewhere')).call(['hello']);
    assertRefused(foreign, 77);
    assert.match(foreign.stderr, /elsewhere may not be used from 127\.0\.0\.1/);
    await keys(['create', 'here', '--networks', '127.0.0.0/8']);
    const stub = await stubOf('here');
    assertCalled(await stub.call(['hello']), { stdout: 'hello \n' });

    const good = readFileSync(file, 'utf8');
    replace(file, good.replace('- id: here', '- id: here\n    expires: 2026-01-01'));
    const late = await stub.call(['hello']);
    assertRefused(late, 77);
    assert.match(late.stderr, /here expired at 2026-01-01/);
    assert.equal((await listed('here')).state, 'expired');
    assert.equal((await agent.command(['stub'], ['--key', 'here', '--url', 'wss://a'])).code, 64);
    replace(file, good);
  });
  test('list shows what keys may do and when they were used last, and no secret', async () => {
    const secrets = [...readFileSync(file, 'utf8').matchAll(/secret: (\S+)/g)].map((match) => match[1] ?? '');
    const [table, json] = [await keys(['list']), await keys(['list', '--json'])];
    for (const secret of secrets) assert.ok(!`${table.stdout}${json.stdout}`.includes(secret));
    assert.match(table.stdout, /^limited +active +hel\* +securechange CLOSE TEST +\d{4}-\S+Z +\d{4}-\S+Z +127\.0\.0\.1$/m);
    assert.equal((await listed('elsewhere')).last_used, null);
    assert.equal((await listed('here')).last_address, '127.0.0.1');
  });
  test('revoke ends a key at the next call, while its run goes on', async () => {
    const go = path.join(agent.dir, 'go');
    agent.script('wait.sh', `#!/bin/bash\necho begun\nuntil [[ -e ${go} ]]; do sleep 0.02; done\necho done\n`);
    const stub = await stubOf('here');
    const call = stub.start(['wait']);
    await call.printed('begun');
    await keys(['revoke', 'here']);
    assertRefused(await stub.call(['hello']), 77);
    writeFileSync(go, '');
    assertCalled(await call.end(), { stdout: 'begun\ndone\n' });
    assert.match((await keys(['revoke', 'here'], 64)).stderr, /has no key "here"/);
  });
  test('rotate under load: no call fails, by the old stub or the new one, and the replaced secret ends when it is revoked', async () => {
    await keys(['create', 'busy']);
    const old = await stubOf('busy');
    let current = old;
    let calls = 0;
    let going = true;
    const worker = async (choose: () => Stub): Promise<void> => {
      while (going) {
        assertCalled(await choose().call(['hello']), { stdout: 'hello \n' });
        calls += 1;
      }
    };
    const more = (count: number): Promise<unknown> => {
      const wanted = calls + count;
      return until(`${count} more calls`, () => calls >= wanted || !going);
    };
    const workers = Promise.all([worker(() => old), worker(() => current), worker(() => current)]).finally(() => (going = false));
    await more(5);
    await keys(['rotate', 'busy', '--overlap', '1h']);
    await more(5);
    current = await makeStub(agent, { url: 'ws', name: 'busy-new/mediator.sh', options: ['--key', 'busy'] });
    await more(10);
    const { state, previous_until: untilWhen, previous_last_used: used } = await listed('busy');
    assert.equal(state, 'rotating');
    assert.ok(Math.abs(Date.parse(untilWhen ?? '') - Date.now() - 3_600_000) < 120_000);
    assert.ok(used !== null, 'the old stub is still in use');
    going = false;
    await workers;
    await keys(['revoke', 'busy', '--previous']);
    assertRefused(await old.call(['hello']), 77);
    assertCalled(await current.call(['hello']), { stdout: 'hello \n' });
    assert.equal((await listed('busy')).state, 'active');
  });
  test('a file that cannot be used keeps the keys as they were, and the log says so once', async () => {
    const stub = await stubOf('busy');
    const good = readFileSync(file, 'utf8');
    const complaints = (): number => agent.logSoFar().filter(({ msg }) => msg.includes('cannot be used; they stay as they were')).length;
    const broken: [string, () => void][] = [
      ['a fault', () => replace(file, good.replace('secret: ', 'secrt: '))],
      ['a mode that lets others read', () => chmodSync(file, 0o644)],
      ['no file', () => rmSync(file)],
    ];
    for (const [what, breakIt] of broken) {
      const said = complaints();
      breakIt();
      // What is changed in place, like a mode, is looked at once it was left alone for a while.
      await until(`the log tells of ${what}`, async () => {
        assertCalled(await stub.call(['hello']), { stdout: 'hello \n' });
        return complaints() === said + 1;
      });
      assertCalled(await stub.call(['hello']), { stdout: 'hello \n' });
      assert.equal(complaints(), said + 1, what);
      replace(file, good);
      assertCalled(await stub.call(['hello']), { stdout: 'hello \n' });
    }
  });
  test('half of a file that is written in place is never taken', async () => {
    const stub = await stubOf('busy');
    const good = readFileSync(file, 'utf8');
    const half = good.slice(0, good.indexOf('  - id: busy'));
    for (let count = 0; count < 10; count += 1) {
      // Again and again, because a call may take longer than a file is left alone until it counts.
      const writer = setInterval(() => writeFileSync(file, half), 20);
      writeFileSync(file, half);
      const called = await stub.call(['hello']);
      clearInterval(writer);
      assertCalled(called, { stdout: 'hello \n' });
      writeFileSync(file, good);
    }
    writeFileSync(file, half);
    await until('the shorter file counts once it was left alone', async () => (await stub.call(['hello'])).code === 77);
    replace(file, good);
  });
  test('last uses survive a restart', async () => {
    const before = (await listed('busy')).last_used;
    assert.equal(await agent.stop(), 0);
    const away = await keys(['list']);
    assert.match(away.stderr, /when keys were used is not known/);
    await agent.start();
    assert.equal((await listed('busy')).last_used, before);
    assert.ok(before !== null && existsSync(file));
  });
});

/** As commands and most editors do: in one step. */
function replace(file: string, text: string): void {
  writeFileSync(`${file}.tmp`, text, { mode: 0o600 });
  renameSync(`${file}.tmp`, file);
}
