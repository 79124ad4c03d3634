/**
 * An agent that does what a test wants, right or wrong. One process serves a whole test file: the id of the key that a stub proves names
 * the scenario. Prints its port and, given a certificate and its key, a second one for TLS. Writes what it received to DIR/SCENARIO.*.
 *
 *     node peer.ts DIR [CERTIFICATE KEY]
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { agentProof, stubProof, type Claim } from '../../protocol/auth.ts';
import { RUN_PATH, SUBPROTOCOL } from '../../protocol/constants.ts';
import { Inbox } from './inbox.ts';
import { strangers } from './peer-strangers.ts';
import { stories, type Line } from './peer-stories.ts';
import { frameVectors } from './vectors.ts';

export const SECRET = 'a-secret-for-tests-0123456789abcdef';

const [, , directory = '.', certificate, key] = process.argv;
/** How often each scenario was called so far. */
const calls = new Map<string, number>();

const ports = [await listen(createServer(meet))];
if (certificate !== undefined && key !== undefined) {
  ports.push(await listen(createTlsServer({ cert: readFileSync(certificate), key: readFileSync(key) }, meet)));
}
for (const vector of frameVectors) {
  writeFileSync(join(directory, `${vector.name}.stdout`), vector.stdout);
  writeFileSync(join(directory, `${vector.name}.stderr`), vector.stderr ?? '');
  appendFileSync(join(directory, 'vectors'), `${vector.name} ${vector.code} ${vector.malformed ?? 'valid'}\n`);
}

process.stdout.write(`${ports.join(' ')}\n`);

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function meet(socket: Socket): void {
  socket.setNoDelay(true);
  socket.on('error', () => socket.destroy());
  serve(socket).catch((error: unknown) => {
    appendFileSync(join(directory, 'peer.log'), `${String(error)}\n`);
    socket.destroySoon();
  });
}

async function serve(socket: Socket): Promise<void> {
  const inbox = new Inbox(socket);
  const request = await inbox.headers();
  const { claim, proof } = claimOf(request);
  const scenario = claim.key;
  const call = (calls.get(scenario) ?? 0) + 1;
  calls.set(scenario, call);
  const right = answer(request, claim);
  const stranger = strangers[scenario];
  if (stranger !== undefined) return stranger(socket, right);
  if (!proven(request, claim, proof)) {
    socket.end('HTTP/1.1 401 Unauthorized\r\nMediator-Failure: unauthorized\r\n\r\nthe proof is wrong\n');
    return;
  }
  socket.write(right);
  const posted = request.get('')?.startsWith('POST ') === true;
  const line = posted ? inChunks(socket) : socket;
  if (posted) inbox.unwrap();
  inbox.onPing = (data) => line.write(Buffer.concat([Buffer.from([0x8a, data.length]), data]));
  const vector = frameVectors.find(({ name }) => name === scenario);
  if (vector !== undefined) {
    await inbox.request();
    line.write(vector.bytes);
    return;
  }
  const story = stories[scenario] ?? stories[scenario.replace(/-[a-z]+$/, '')]; // its past may be that of one test alone
  if (story === undefined) throw new Error(`there is no scenario ${scenario}`);
  await story({ socket: line, inbox, call, save: (name, data) => writeFileSync(join(directory, `${scenario}.${name}`), data) });
}

/** The body of the answer to a POST. It never ends properly, as nothing does that is cut. */
function inChunks(socket: Socket): Line {
  return {
    write: (data) => socket.write(Buffer.concat([Buffer.from(`${data.length.toString(16)}\r\n`), data, Buffer.from('\r\n')])),
    end: () => socket.end(),
    destroy: () => socket.destroy(),
  };
}

function answer(request: Map<string, string>, claim: Claim): string {
  if (request.get('')?.startsWith('POST ') === true) {
    const proof = `Mediator-Proof: ${agentProof(SECRET, claim, 'POST')}`;
    return ['HTTP/1.1 200 OK', 'Content-Type: application/octet-stream', 'Transfer-Encoding: chunked', proof, '\r\n'].join('\r\n');
  }
  const accept = createHash('sha1')
    .update(`${request.get('sec-websocket-key') ?? ''}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    .digest('base64');
  return [
    'HTTP/1.1 101 Switching Protocols',
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Accept: ${accept}`,
    `Sec-WebSocket-Protocol: ${SUBPROTOCOL}`,
    `Mediator-Proof: ${agentProof(SECRET, claim)}`,
    '\r\n',
  ].join('\r\n');
}

/** What the request claims; empty where it is malformed. */
function claimOf(request: Map<string, string>): { claim: Claim; proof: string } {
  const match = /^Mediator key="([^"]*)", time="(\d+)", nonce="([0-9a-f]{32})", proof="([0-9a-f]{32})"$/.exec(
    request.get('authorization') ?? '',
  );
  const [, key = '', time = '', nonce = '', proof = ''] = match ?? [];
  return { claim: { audience: request.get('mediator-audience') ?? '', key, time, nonce }, proof };
}

/** Whether the request is what section 1 demands. */
function proven(request: Map<string, string>, claim: Claim, proof: string): boolean {
  if (request.get('') === `POST ${RUN_PATH} HTTP/1.1`) return proof === stubProof(SECRET, claim, 'POST');
  return (
    request.get('') === `GET ${RUN_PATH} HTTP/1.1` &&
    request.get('sec-websocket-version') === '13' &&
    request.get('sec-websocket-protocol') === SUBPROTOCOL &&
    Buffer.from(request.get('sec-websocket-key') ?? '', 'base64').length === 16 &&
    Math.abs(Number(claim.time) - Date.now() / 1000) < 300 &&
    proof === stubProof(SECRET, claim)
  );
}
