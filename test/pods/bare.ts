/** The yardstick for output: bash reads a socket and prints what it read, and nothing else happens. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { HOST } from './network.ts';
import type { Pod } from './pod.ts';

/** 64 KiB and less are what bash reads fastest. */
const LOOP = `LC_ALL=C
exec 3<>"/dev/tcp/$1/$2"
while IFS= read -r -N 65535 -u 3 text; do printf %s "$text"; done
printf %s "$text"`;

/** MB/s. @param data text without NUL */
export async function bareRate(pod: Pod, data: Buffer): Promise<number> {
  const server = createServer((socket) => socket.on('error', () => undefined).end(data));
  await once(server.listen(0, HOST), 'listening');
  const address = server.address();
  assert.ok(address !== null && typeof address !== 'string');
  const { stdout, stderr, time } = await pod.run(['-c', LOOP, 'bash', HOST, String(address.port)]);
  server.close();
  assert.ok(stdout.equals(data), `the loop printed ${stdout.length} bytes: ${stderr}`);
  return data.length / 1e6 / (time / 1000);
}
