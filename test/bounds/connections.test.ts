/** Connections are bounded by what they have shown: strangers keep nobody out, and who is one too many is told. And what was used once is used up, also across a restart. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { after, before, suite, test } from 'node:test';
import { exitCodeOf } from '../../protocol/failures.ts';
import { prepareAgent, type TestAgent } from '../helpers/agent.ts';
import { dial, invoke, newToken, openSocket, refusalOf, type Call } from '../helpers/stub.ts';
import { until } from '../helpers/wait.ts';

const CONNECTIONS = 6;
const HANDSHAKES = 8;

suite('connections', () => {
  let agent: TestAgent;
  before(async () => {
    agent = await prepareAgent({ settings: { limits: { connections: CONNECTIONS, handshakes: HANDSHAKES } } });
    agent.script('hello.sh', '#!/bin/bash\necho hello\n');
    await agent.start();
  });
  after(() => agent.close());

  const works = async (transport: 'ws' | 'wss'): Promise<void> => {
    const { terminal } = await invoke(agent, { script: 'hello' }, { transport });
    assert.deepEqual([terminal.outcome, terminal.code], ['exited', 0]);
  };

  for (const transport of ['ws', 'wss'] as const) {
    test(`of strangers over ${transport}, silent, slow or with half a request, push each other out and keep nobody out`, async () => {
      const strangers: Socket[] = [];
      const gone = new Set<Socket>();
      for (let count = 0; count < 3 * HANDSHAKES; count += 1) {
        const stranger = await openSocket(agent, transport === 'wss' && count % 3 !== 0 ? 'wss' : 'ws');
        for (const end of ['end', 'close']) stranger.once(end, () => gone.add(stranger)).resume();
        if (count % 2 === 0) stranger.write('GET /v1/run HTTP/1.1\r\nHost: a\r\nX-Slow: ');
        strangers.push(stranger);
      }
      await until('the oldest are closed', () => gone.size >= 2 * HANDSHAKES);
      const newest = strangers.at(-1);
      assert.ok(newest !== undefined && !gone.has(newest), 'the newest are left');
      await works(transport);
      for (const stranger of strangers) stranger.destroy();
    });
  }
  test('of stubs are as many as limits.connections; one more is told to try later, and may come once another has gone', async () => {
    const calls: Call[] = [];
    for (let count = 0; count < CONNECTIONS; count += 1) calls.push(await dial(agent, { transport: count % 2 === 0 ? 'ws' : 'wss' }));
    for (const transport of ['ws', 'wss'] as const) {
      const refusal = await refusalOf(agent, { transport });
      assert.deepEqual([refusal.status, refusal.failure], [503, 'busy']);
    }
    calls[0]?.destroy();
    await until('there is a place', () =>
      works('ws').then(
        () => true,
        () => false,
      ),
    );
    for (const call of calls) call.destroy();
  });
});

suite('a request that was captured', () => {
  let agent: TestAgent;
  before(async () => {
    agent = await prepareAgent();
    await agent.start();
  });
  after(() => agent.close());

  test('is refused when it comes again, also by the front after a restart, and by the one after a crash', async () => {
    const captured = { nonce: newToken(), time: Math.floor(Date.now() / 1000) };
    const replayed = async (): Promise<void> => {
      const refusal = await refusalOf(agent, captured);
      assert.deepEqual([refusal.status, refusal.failure], [401, 'replayed']);
    };
    const call = await dial(agent, captured);
    call.destroy();
    await replayed();
    assert.equal(await agent.stop(), 0);
    await agent.start();
    await replayed();
    agent.configure({ listen: { plaintext: [new URL(agent.urls.ws).host] } });
    const front = agent.part('front');
    assert.ok(front !== undefined);
    process.kill(front, 'SIGKILL');
    await until('another front answers', async () => {
      if ((agent.part('front') ?? front) === front) return false;
      const { terminal } = await invoke(agent, { script: 'nothing' }).catch(() => ({ terminal: undefined }));
      return terminal?.code === exitCodeOf('no-such-script');
    });
    await replayed();
  });
  test('with a clock that is ahead is refused for as long as that clock is accepted', async () => {
    const ahead = { nonce: newToken(), time: Math.floor(Date.now() / 1000) + 250 };
    const call = await dial(agent, ahead);
    await call.close();
    await agent.stop();
    await agent.start();
    assert.equal((await refusalOf(agent, ahead)).failure, 'replayed');
  });
});
