import assert from 'node:assert/strict';
import { once } from 'node:events';
import { IncomingMessage, createServer, request, type ServerResponse } from 'node:http';
import { after, suite, test } from 'node:test';
import { z } from 'zod';
import { BodyConnection } from '../../../agent/wire/body-connection.ts';
import { HIGH_WATER } from '../../../agent/wire/connection.ts';
import { until } from '../../helpers/wait.ts';

suite('a conversation over the bodies of a POST', () => {
  /** What the front has, and what the stub reads. */
  async function begun(): Promise<{ connection: BodyConnection; body: IncomingMessage }> {
    const server = createServer();
    const connections: BodyConnection[] = [];
    server.on('request', (incoming: IncomingMessage, response: ServerResponse) => {
      response.writeHead(200).flushHeaders();
      connections.push(new BodyConnection(incoming, response));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = z.object({ port: z.number() }).parse(server.address());
    const call = request({ host: '127.0.0.1', port, method: 'POST', agent: false });
    call.flushHeaders();
    const [body] = z.tuple([z.instanceof(IncomingMessage)]).parse(await once(call, 'response'));
    after(() => {
      call.destroy();
      server.close();
    });
    const connection = connections[0];
    assert.ok(connection);
    return { connection, body };
  }

  for (const size of [HIGH_WATER + 1, 2 * HIGH_WATER]) {
    test(`what is sent when it has drained, again and again, arrives whole: messages of ${size} bytes`, async () => {
      const { connection, body } = await begun();
      const COUNT = 200;
      let sent = 0;
      const send = (): void => {
        for (; sent < COUNT && !connection.congested; sent += 1) connection.send(Buffer.alloc(size, 1));
        if (sent < COUNT) connection.onceDrained(send);
      };
      send();
      let read = 0;
      body.on('data', (chunk: Buffer) => (read += chunk.length));
      await until('all of it', () => read >= COUNT * size);
    });
  }
});
