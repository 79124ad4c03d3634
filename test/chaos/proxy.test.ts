import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { after, suite, test } from 'node:test';
import { z } from 'zod';
import { until } from '../helpers/wait.ts';
import { Proxy } from './proxy.ts';

suite('the proxy of a host', () => {
  test('is quiet when all of a request has arrived, although who sent it is long gone', async () => {
    const agent = createServer();
    after(() => agent.close());
    await once(agent.listen(0, '127.0.0.1'), 'listening');
    const { port } = z.object({ port: z.number() }).parse(agent.address());
    const proxy = await Proxy.open(port);
    after(() => proxy.close());
    assert.equal(proxy.quiet, true);
    let stalled = false;
    const onMishap = (): void => void (stalled = true);
    proxy.plan([{ kind: 'stall', direction: 'up', after: 3, pause: 300 }], onMishap, () => undefined);
    const called = once(agent, 'connection');
    const stub = connect(proxy.port, '127.0.0.1');
    stub.write('all');
    const [connection] = z.tuple([z.custom<Socket>()]).parse(await called);
    const request = text(connection);
    await until('the connection stands still', () => stalled);
    assert.equal(proxy.quiet, false);
    stub.end(' of it').resume();
    assert.equal(await request, 'all of it');
    await until('nothing is on its way', () => proxy.quiet);
  });
});
