/**
 * `node test/bench/floors.ts [ROUNDS]`: the best that a row can be on this machine with a stub of bash and starts by Node, whatever else stub and agent do. Measured as the rows are, in turns with
 * the same peers: bash that starts, reads the stub as far as its request, makes one proof and sends one line to a server in Node, which does nothing but start `true` and answer;
 * the same through `openssl s_client`; a bare `spawn` loop in Node; the same bytes through `openssl s_client` and nothing else. A floor beyond the goal explains why the row misses it.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, readFileSync, writeFileSync } from 'node:fs';
import { createServer as createPlainServer, type Server, type Socket } from 'node:net';
import path from 'node:path';
import { createServer } from 'node:tls';
import { timeCalls } from './call-timer.ts';
import { writeStub } from './latency.ts';
import { hookCall, rateOf, socketCall } from './load.ts';
import { startPeers } from './peers.ts';
import { startSpawnLoop } from './rates.ts';
import { prepareReleased } from './release.ts';
import { ROWS, type RowName } from './rows.ts';
import { median } from './statistics.ts';
import { Workplace, freePort } from './workplace.ts';

const ROUNDS = Number(process.argv[2] ?? 40);
const MEBIBYTES = 128;
const CONCURRENCY = 32;
/** bash code in a shell that has read the stub so far: what no call can do without. */
const PROOF = 'settings_load; url_parse "${URLS[0]}"; printf -v now "%(%s)T" -1; crypto_random NONCE; crypto_proofs stub agent GET "$now"';

await using place = new Workplace();
const agent = await prepareReleased();
place.atEnd(() => agent.close());
await agent.start();
const certificate = path.join(agent.dir, 'tls/cert.pem');
const peers = await startPeers(place, { certificate, key: path.join(agent.dir, 'tls/key.pem') });
const stub = await writeStub(place, agent, 'stub', ['--url', agent.urls.wss]);
const { host } = new URL(agent.urls.wss);
const connect = `openssl s_client -quiet -verify_quiet -CAfile ${certificate} -connect ${host}`;
const get = `printf 'GET /healthz HTTP/1.0\\r\\n\\r\\n' | ${connect}`;

const print = (name: RowName, floor: number, of: string): void => {
  const { goal, better } = ROWS[name];
  const excluded = better === 'lower' ? floor > goal : floor < goal;
  const sign = better === 'lower' ? ['at least', '≤'] : ['at most', '≥'];
  console.log(`${name.padEnd(20)} ${sign[0]} ${floor.toFixed(2)}, goal ${sign[1]} ${goal}${excluded ? ': out of reach' : ''} (${of})`);
};

const tlsOptions = { cert: readFileSync(certificate), key: readFileSync(path.join(agent.dir, 'tls/key.pem')) };
const plainPort = await listen(createPlainServer(startTrue));
const tlsPort = await listen(createServer(tlsOptions, startTrue));
const client = connect.replace(host, `127.0.0.1:${tlsPort}`);
const read = program('read', upToRequest(readFileSync(stub, 'utf8')));
const bare = program('bare', `source ${read}\nexec 3<>/dev/tcp/127.0.0.1/${plainPort}\n${PROOF}\necho >&3\nread -r -u 3\n`);
const shaking = program('shaking', `source ${read}\ncoproc ${client}\n${PROOF}\necho >&"\${COPROC[1]}"\nread -r -u "\${COPROC[0]}"\n`);
const { hook, hooks, cold, warm, ...own } = await timeCalls<string>(
  {
    bare: `bash ${bare}`,
    shaking: `bash ${shaking}`,
    handshake: get,
    ...(peers.webhook && { hook: `curl -s ${peers.webhook.http}`, hooks: `curl -s --cacert ${certificate} ${peers.webhook.https}` }),
    ...(peers.ssh && { cold: `${peers.ssh.cold} /bin/true`, warm: `${peers.ssh.warm} /bin/true` }),
  },
  ROUNDS,
);
const [plain, tls] = [median(own.bare ?? []), median(own.shaking ?? [])];
if (hook) print('plain_vs_webhook', plain / median(hook), 'bash, the stub read, one proof, one start by Node');
if (hooks) print('tls_vs_webhook', tls / median(hooks), 'the same through openssl s_client');
print('tls_vs_handshake', tls / median(own.handshake ?? []), 'the same');
if (cold) print('tls_vs_ssh', tls / median(cold), 'the same');
if (warm) print('tls_vs_ssh_warm', tls / median(warm), 'the same');
if (warm) print('sidecar_vs_ssh_warm', plain / median(warm), 'bash, the stub read, one proof, one start by Node');

const rate = async (call: () => Promise<void>): Promise<number> => {
  await rateOf(call, CONCURRENCY, 0.5);
  return rateOf(call, CONCURRENCY, 3);
};
await using loop = startSpawnLoop();
await loop.rate(0.5);
const starts = await loop.rate(3);
print('rate_vs_spawn', 1, 'starts by Node itself, without an agent');
if (peers.websocketd !== undefined) print('rate_vs_websocketd', starts / (await rate(socketCall(peers.websocketd))), 'a bare spawn loop');
if (peers.webhook) print('rate_vs_webhook', starts / (await rate(hookCall(peers.webhook.http))), 'a bare spawn loop');

if (peers.ssh) {
  const large = path.join(place.folder, 'large');
  writeFileSync(large, Buffer.alloc(MEBIBYTES * 1024 * 1024, 'a line of text, as scripts print it\n'), { mode: 0o644 });
  const port = await serveFile(large);
  const counted = (command: string): string => `test $(${command} | cat | wc -c) = ${MEBIBYTES * 1024 * 1024}`;
  const { ours = [], theirs = [] } = await timeCalls<string>(
    { ours: counted(connect.replace(host, `127.0.0.1:${port}`)), theirs: counted(`${peers.ssh.warm} cat ${large}`) },
    Math.ceil(ROUNDS / 8),
  );
  print('output_vs_ssh', median(theirs) / median(ours), 'openssl s_client alone, from a TLS server in Node');
}

/** What bash has to read before the request can leave. */
function upToRequest(code: string): string {
  const end = code.indexOf('\n', code.indexOf('|| main_request'));
  if (end < 0) throw new Error('the stub has another shape');
  return code.slice(0, end + 1);
}

function program(name: string, code: string): string {
  const file = path.join(place.folder, `${name}.sh`);
  writeFileSync(file, code);
  return file;
}

/** An agent that does nothing but what none can do without: to each connection's line it answers with a line, once it has started `true` and seen it end. */
function startTrue(socket: Socket): void {
  socket.on('error', () => undefined);
  socket.once('data', () => {
    spawn('/bin/true', { stdio: ['ignore', 'pipe', 'pipe'] }).once('close', () => socket.end('\n'));
  });
}

/** Sends a file to whoever connects by TLS. @returns the port */
function serveFile(file: string): Promise<number> {
  return listen(
    createServer(tlsOptions, (socket) => {
      socket.on('error', () => undefined);
      createReadStream(file, { highWaterMark: 256 * 1024 }).pipe(socket);
    }),
  );
}

/** @returns the port */
async function listen(server: Server): Promise<number> {
  const port = await freePort();
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  place.atEnd(async () => {
    server.close();
    await once(server, 'close');
  });
  return port;
}
