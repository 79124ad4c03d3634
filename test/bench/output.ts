/** Much output: MB/s on stdout of the caller. */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import type { TestAgent } from '../helpers/agent.ts';
import { timeCalls } from './call-timer.ts';
import { writeStub } from './latency.ts';
import type { Peers } from './peers.ts';
import type { Result, RowName } from './rows.ts';
import { median, ratio } from './statistics.ts';
import type { Workplace } from './workplace.ts';

const LINE = 'A line as scripts print it: 2026-11-01T12:00:00Z rule 4711 was changed by ünïcode, 100 bytes long,\n';
const MIB = 1024 * 1024;

/** What bash can do at most with its only bulk read, frame by frame of the stub's length. */
const BARE_LOOP =
  'LC_ALL=C; exec 3<>"/dev/tcp/127.0.0.1/$1"; while IFS= read -r -N 65535 -u 3 text; do printf %s "$text"; done; printf %s "$text"';

export async function measureOutput(
  place: Workplace,
  { agent, peers, rounds, mebibytes }: { agent: TestAgent; peers: Peers; rounds: number; mebibytes: number },
): Promise<Result[]> {
  const [large, small] = [path.join(place.folder, 'large'), path.join(place.folder, 'small')];
  writeFileSync(large, Buffer.alloc(mebibytes * MIB, LINE), { mode: 0o644 });
  writeFileSync(small, Buffer.alloc((mebibytes / 4) * MIB, LINE), { mode: 0o644 });
  agent.script('large', `#!/bin/sh\nexec cat ${large}\n`);
  agent.script('small', `#!/bin/sh\nexec cat ${small}\n`);
  await using bare = await serveBytes(Buffer.alloc((mebibytes / 4) * MIB, LINE));
  const tls = await writeStub(place, agent, 'large', ['--url', agent.urls.wss], 'large');
  const plain = await writeStub(place, agent, 'small', ['--url', agent.urls.ws, '--plaintext'], 'small');
  const pair = async (name: RowName, size: number, ours: string, theirs: string): Promise<Result> => {
    const samples = await timeCalls({ ours, theirs }, rounds);
    const [a, b] = [samples.ours, samples.theirs].map((times) => times.map((time) => (size * MIB) / 1e3 / time));
    if (a === undefined || b === undefined) throw new Error('no samples');
    const { value, low, high } = ratio(a, b);
    return { name, value, low, high, ours: median(a), theirs: median(b) };
  };
  return [
    ...(peers.ssh ? [await pair('output_vs_ssh', mebibytes, `bash ${tls} | cat`, `${peers.ssh.warm} cat ${large} | cat`)] : []),
    await pair(
      'output_bash_only',
      mebibytes / 4,
      `env -i /bin/bash ${plain} | cat`.replace('env -i', 'env -i PATH=/nowhere'),
      `env -i /bin/bash -c '${BARE_LOOP}' bash ${bare.port} | cat`,
    ),
  ];
}

/** A server that sends the same bytes to everybody. */
async function serveBytes(data: Buffer): Promise<AsyncDisposable & { port: number }> {
  const server = createServer((socket) => socket.on('error', () => undefined).end(data)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    async [Symbol.asyncDispose]() {
      server.close();
      await once(server, 'close');
    },
  };
}
