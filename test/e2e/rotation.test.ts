/** `keys rotate` at noon, while stubs call: over bash's own sockets, openssl and curl. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { startAgent, type TestAgent } from '../helpers/agent.ts';
import { refusalOf } from '../helpers/stub.ts';
import { underLoad, type Caller } from './load.ts';
import { assertCalled, assertRefused, makeStub, type Called, type Stub } from './stubs.ts';

const TRANSPORTS = ['tcp', 'openssl', 'curl'] as const;
type Transport = (typeof TRANSPORTS)[number];

suite('a key that is rotated at noon', () => {
  let agent: TestAgent;
  before(async () => {
    agent = await startAgent();
    agent.script('answer.sh', '#!/bin/bash\nprintf "%s|" "$1"\ncat\necho "err $1" >&2\nexit "$1"\n');
  });
  after(() => agent.close());

  async function keys(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await agent.command(['keys', args[0] ?? ''], args.slice(1));
    assert.equal(code, 0, stderr);
    return stdout;
  }

  interface Stubs {
    ws: Stub;
    wss: Stub;
  }
  async function stubsOf(key: string, folder: string): Promise<Stubs> {
    const stub = (url: 'ws' | 'wss'): Promise<Stub> =>
      makeStub(agent, { url, name: `${folder}/${url}/mediator.sh`, options: ['--key', key] });
    return { ws: await stub('ws'), wss: await stub('wss') };
  }
  function call({ ws, wss }: Stubs, transport: Transport, turn: number): Promise<Called> {
    const stub = transport === 'tcp' ? ws : wss;
    return stub.call(['answer', String(turn % 3)], { stdin: `turn ${turn}`, env: { MEDIATOR_TRANSPORT: transport } });
  }
  function assertAnswered(called: Called, turn: number): void {
    assertCalled(called, { stdout: `${turn % 3}|turn ${turn}`, stderr: `err ${turn % 3}\n`, code: turn % 3 });
  }

  test('no call fails, by old stubs or new ones; once the overlap is ended, the old ones are refused, however often, and the new ones are not', async () => {
    const secret = (await keys('create', 'noon', '--show-secret')).trim();
    const old = await stubsOf('noon', 'old');
    let current = old;
    let revoked: 'no' | 'at this moment' | 'yes' = 'no';
    const refusals: (number | null)[] = [];
    const stays =
      (transport: Transport): Caller =>
      async (turn) => {
        const begun = revoked;
        const called = await call(old, transport, turn);
        if (begun === 'no' && revoked === 'no') assertAnswered(called, turn);
        else if (begun === 'yes' || called.code === 77) refusals.push(assertShut(called));
        else assertAnswered(called, turn);
      };
    const moves =
      (transport: Transport): Caller =>
      async (turn) => {
        assertAnswered(await call(current, transport, turn), turn);
      };

    await underLoad([...TRANSPORTS.map(stays), ...TRANSPORTS.map(moves)], async (load) => {
      await load.across(() => keys('rotate', 'noon', '--overlap', '1h'));
      const fresh = await stubsOf('noon', 'new');
      await load.across(() => (current = fresh));
      assert.deepEqual(await load.across(() => agent.reload()), ['reloaded', 'reloaded']);

      const go = path.join(agent.dir, 'go');
      agent.script('hold.sh', `#!/bin/bash\necho begun\nuntil [[ -e ${go} ]]; do sleep 0.02; done\necho done\n`);
      const held = old.wss.start(['hold']);
      await held.printed('begun');
      revoked = 'at this moment';
      await load.across(async () => {
        await keys('revoke', 'noon', '--previous');
        revoked = 'yes';
      });
      assert.deepEqual(new Set(refusals.slice(0, TRANSPORTS.length)), new Set([77]));
      await load.across(async () => {
        while ((await refusalOf(agent, { key: { id: 'noon', secret } })).failure !== 'slow-down');
      });
      writeFileSync(go, '');
      assertCalled(await held.end(), { stdout: 'begun\ndone\n' });
    });
  });
});

/** By a stub whose address has failed too often, too. */
function assertShut(called: Called): number | null {
  assertRefused(called, called.code === 75 ? 75 : 77);
  return called.code;
}
