/** Calls that are refused are in the history, unless a stranger made them: who looks for a ticket and finds no run learns why. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, suite, test } from 'node:test';
import { z } from 'zod';
import type { FailureCode } from '../../protocol/failures.ts';
import { startAgent, type TestAgent } from '../helpers/agent.ts';
import { dial, exchange, invoke, newToken, refusalOf, startMessage, type Call } from '../helpers/stub.ts';
import { until } from '../helpers/wait.ts';

const FEW = { id: 'few', secret: 'f'.repeat(43), scripts: ['allowed-*'] };
const OLD = { id: 'old', secret: 'o'.repeat(43), scripts: ['**'], expires: '2020-01-01' };
const AWAY = { id: 'away', secret: 'a'.repeat(43), scripts: ['**'], networks: ['192.0.2.0/24'] };
const WRONG = { id: 'few', secret: 'w'.repeat(43) };
const CLOSE = { host: 'securechange', env: { SCW_EVENT: 'CLOSE' } } as const;
const ticket = (id: string): string => `<ticket_info><id>${id}</id><subject>s</subject></ticket_info>`;

const Refused = z.strictObject({
  at: z.string(),
  key: z.string(),
  address: z.string(),
  script: z.string(),
  host: z.string(),
  event: z.string(),
  ticket: z.string(),
  code: z.string(),
  reason: z.string(),
});

suite('the history of what was refused', () => {
  let agent: TestAgent;
  before(async () => {
    agent = await startAgent({ keys: [FEW, OLD, AWAY], settings: { limits: { concurrency: 1, queue: 0, stdin: '200KiB' } } });
    agent.script('close.sh', '#!/bin/bash\n');
    agent.script('allowed-wait.sh', '#!/bin/bash\nread -r\n[ -z "$1" ] || exec sleep 60\n');
    agent.script('broken.sh', '#!/bin/bash\n', { manifest: 'timeout: soon\n' });
    agent.script('gone.sh', '#!/bin/bash\n', { mode: 0o777 });
  });
  after(() => agent.close());

  async function refused(...args: string[]): Promise<z.output<typeof Refused>[]> {
    const { code, stdout, stderr } = await agent.command(['runs', 'refused'], ['--json', ...args]);
    assert.deepEqual([code, stderr], [0, '']);
    return stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => Refused.parse(JSON.parse(line)));
  }

  /** The newest, once there are so many of its code. */
  const newest = (code: FailureCode, count = 1): Promise<z.output<typeof Refused>> =>
    until(`${count} of ${code}`, async () => {
      const found = await refused('--code', code);
      return found.length >= count ? found[0] : undefined;
    });

  async function begin(key = agent.key): Promise<Call> {
    const call = await dial(agent, { key });
    call.send(startMessage({ script: 'allowed-wait', args: ['long'] }));
    call.send({ type: 'end', stdin: 0 });
    await call.accepted();
    return call;
  }

  test('has what the runner refused, with the ticket', async () => {
    await invoke(agent, { script: 'no-such', ...CLOSE }, { stdin: ticket('4711') });
    const { at, address, reason, ...rest } = await newest('no-such-script');
    assert.deepEqual(rest, {
      ...{ key: agent.key.id, script: 'no-such', host: 'securechange', event: 'CLOSE', ticket: '4711', code: 'no-such-script' },
    });
    assert.equal(address, '127.0.0.1');
    assert.match(reason, /no-such/);
    assert.ok(Math.abs(Date.now() - Date.parse(at)) < 60_000);
  });
  test('has the ticket of a large payload, too', async () => {
    const stdin = ticket('88').replace('</ticket_info>', `<comment>${'x'.repeat(150_000)}</comment></ticket_info>`);
    await invoke(agent, { script: 'broken', ...CLOSE }, { stdin });
    assert.equal((await newest('broken-manifest')).ticket, '88');
    await invoke(agent, { script: 'gone', ...CLOSE }, { stdin: ticket('89') });
    assert.equal((await newest('unsafe-script')).ticket, '89');
  });
  test('has what was refused while as many runs go on as may', async () => {
    const call = await begin();
    await invoke(agent, { script: 'close', ...CLOSE }, { stdin: ticket('90') });
    assert.deepEqual((({ ticket: id, script }) => [id, script])(await newest('busy')), ['90', 'close']);
    await agent.command(['runs', 'cancel'], [call.run ?? '']);
    await call.terminal();
    await call.ack();
  });
  test('has what was too large, of which no ticket is known', async () => {
    await invoke(agent, { script: 'close', ...CLOSE }, { stdin: Buffer.alloc(2_000_000, 'x') });
    const { ticket: id, key, script, event } = await newest('stdin-too-large');
    assert.deepEqual([id, key, script, event], ['', agent.key.id, 'close', 'CLOSE']);
  });
  test('has what the front refused: a script that the key may not call, over both doors', async () => {
    await invoke(agent, { script: 'close', ...CLOSE }, { key: FEW, stdin: ticket('91') });
    const { key, address, script, host, event, ticket: id } = await newest('not-allowed');
    assert.deepEqual([key, address, script, host, event, id], ['few', '127.0.0.1', 'close', 'securechange', 'CLOSE', '']);
    const head = ['POST /v1/smart-tasks/secret-one HTTP/1.1', 'Host: a', `X-chkp-shared-secret: ${FEW.secret}`, 'Content-Length: 2'];
    await exchange(agent, `${head.join('\r\n')}\r\n\r\n{}`);
    const web = await newest('not-allowed', 2);
    assert.deepEqual([web.key, web.script, web.host], ['few', 'secret-one', 'checkpoint']);
  });
  test('has a key that has expired, and one that came from elsewhere', async () => {
    for (const key of [OLD, AWAY]) assert.equal((await refusalOf(agent, { key })).failure, 'unauthorized');
    await newest('unauthorized', 2);
    assert.deepEqual(
      (await refused('--code', 'unauthorized')).map(({ key, script }) => [key, script]),
      [
        ['away', ''],
        ['old', ''],
      ],
    );
  });
  test('has a stub that asked for the rest of a run that is not there', async () => {
    const call = await dial(agent);
    call.send({ type: 'resume', token: newToken(), stdout: 7, stderr: 0, accept: { frame: 65_535, bulk: 0 } });
    assert.equal((await call.terminal()).code, 125);
    const { key, address, script, ticket: id, reason } = await newest('unknown-run');
    assert.deepEqual([key, address, script, id], [agent.key.id, '127.0.0.1', '', '']);
    assert.match(reason, /token/);
  });
  test('has nothing of strangers: a wrong secret, a key that does not exist, bytes that came twice', async () => {
    const before = await refused('--limit', '1000');
    const used = { nonce: newToken(), time: Math.floor(Date.now() / 1000) }; // with another time they would be other bytes
    const call = await dial(agent, used);
    call.destroy();
    const failures = [];
    for (const options of [{ key: WRONG }, { key: { id: 'nobody', secret: WRONG.secret } }, used, { ...used, key: OLD }])
      failures.push((await refusalOf(agent, options)).failure);
    failures.push((await refusalOf(agent, { key: OLD })).failure);
    assert.deepEqual(failures, ['unauthorized', 'unauthorized', 'replayed', 'replayed', 'unauthorized']);
    await newest('unauthorized', 3);
    assert.equal((await refused('--limit', '1000')).length, before.length + 1);
  });
  test('is narrowed to a key, a script, an event, a time, a number', async () => {
    const count = async (...args: string[]): Promise<number> => (await refused(...args)).length;
    assert.deepEqual(new Set((await refused('--key', 'few')).map(({ key }) => key)), new Set(['few']));
    assert.deepEqual(new Set((await refused('--script', 'close')).map(({ script }) => script)), new Set(['close']));
    assert.deepEqual(new Set((await refused('--event', 'CLOSE')).map(({ event }) => event)), new Set(['CLOSE']));
    assert.equal(await count('--since', '1h'), await count());
    assert.deepEqual([await count('--until', '1h'), await count('--limit', '2'), await count('--key', 'x')], [0, 2, 0]);
  });
  test('is a table for people, which control characters cannot change', async () => {
    await invoke(agent, { script: 'x\u001b[2J\nROOT' });
    await until(
      'it is there',
      async () => (await refused('--code', 'invalid-name')).length + (await refused('--code', 'no-such-script')).length > 1,
    );
    const { stdout } = await agent.command(['runs', 'refused']);
    assert.match(stdout, /^REFUSED +KEY +SCRIPT +EVENT +TICKET +CODE +REASON\n/);
    assert.ok(!stdout.includes('\u001b') && stdout.includes('x\\x1b[2J\\x0aROOT'));
    const wrong = await agent.command(['runs', 'refused'], ['--code', 'tired']);
    assert.equal(wrong.code, 64);
  });
  test('is hinted at where a list finds no run: what is of the ticket, or may be', async () => {
    const { code, stdout, stderr } = await agent.command(['runs', 'list'], ['--ticket', '4711']);
    assert.equal(code, 0);
    assert.match(stdout, /^RUN .*\n$/);
    const [, count, command = ''] = /but (\d+) calls were refused .*: mediator-agent (runs refused .*)\n$/.exec(stderr) ?? [];
    const found = await refused(...command.split(' ').slice(2));
    assert.equal(found.length, Number(count));
    assert.deepEqual(new Set(found.map(({ ticket: id }) => id)), new Set(['4711', '']));
    assert.ok(found.every(({ host }) => host !== 'generic' && host !== 'checkpoint'));
    const quiet = await agent.command(['runs', 'list'], ['--ticket', '4711', '--key', 'nobody']);
    assert.equal(quiet.stderr, '');
    assert.equal((await agent.command(['runs', 'list'], ['--json', '--ticket', '4711'])).stderr, '', 'programs read the list');
  });
  test('leaves the chain alone', async () => {
    const { code } = await agent.command(['runs', 'verify']);
    assert.equal(code, 0);
  });
  test('outlives the agent', async () => {
    const before = (await refused('--code', 'not-allowed')).length;
    assert.equal(await agent.stop(), 0);
    const database = new DatabaseSync(path.join(agent.state, 'journal.db'), { readOnly: true });
    const { count } = z
      .object({ count: z.number() })
      .parse(database.prepare("SELECT count(*) AS count FROM refusals WHERE code = 'not-allowed'").get());
    database.close();
    assert.equal(count, before);
    await agent.start();
    assert.equal((await refused('--code', 'not-allowed')).length, before);
  });
});
