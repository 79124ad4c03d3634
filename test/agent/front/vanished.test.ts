import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { suite, test } from 'node:test';
import { spelled, vanishedIn } from '../../../agent/front/vanished.ts';

const row = (repeats: string, probes: number): string =>
  `   0: 010200C0:20FB 640200C0:B2CE 01 00000011:00000000 01:00001F00 ${repeats}     0        ${probes} 4711 4 0000000000000000 20 4 30 10 -1\n`;

suite('who has vanished', () => {
  test('is told by the repeats of the kernel, or by probes that nobody answers', () => {
    assert.deepEqual(vanishedIn(row('00000006', 0)), []);
    assert.deepEqual(vanishedIn(row('00000007', 0)), ['8443 640200C0 45774']);
    assert.deepEqual(vanishedIn(row('00000000', 12)), ['8443 640200C0 45774']);
  });

  test('is found by an address as the kernel spells it', async () => {
    assert.equal(spelled('192.0.2.100'), '640200C0');
    assert.equal(spelled('::1'), '00000000000000000000000001000000');
    assert.equal(spelled('::ffff:192.0.2.100'), '0000000000000000FFFF0000640200C0');
    assert.equal(spelled('2001:db8::1:2%eth0'), 'B80D0120000000000000000002000100');
    for (const [host, table] of [
      ['127.0.0.1', 'tcp'],
      ['::1', 'tcp6'],
    ] as const) {
      const server = createServer().listen(0, host);
      await once(server, 'listening');
      const address = server.address();
      assert.ok(address !== null && typeof address === 'object');
      const connected = once(server, 'connection');
      const client: Socket = connect(address.port, host);
      await connected;
      const port = (client.localPort ?? 0).toString(16).toUpperCase().padStart(4, '0');
      assert.ok(readFileSync(`/proc/self/net/${table}`, 'latin1').includes(` ${spelled(host)}:${port} 01 `));
      client.destroy();
      server.close();
    }
  });
});
