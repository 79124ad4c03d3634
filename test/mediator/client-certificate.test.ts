import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import { assertCalled, assertRefused, makeStub, makeStubs, type Stub } from '../e2e/stubs.ts';
import { prepareAgent, type TestAgent } from '../helpers/agent.ts';
import { authHeaders } from '../helpers/stub.ts';
import { soon } from '../helpers/wait.ts';

suite('with tls.clients in agent.yaml', () => {
  let agent: TestAgent;
  let stubs: { wss: Stub; ws: Stub };
  const from = (name: string): Record<string, string> => ({
    MEDIATOR_CERT: path.join(agent.dir, `${name}.pem`),
    MEDIATOR_CERT_KEY: path.join(agent.dir, `${name}.key`),
  });

  before(async () => {
    agent = await prepareAgent({ settings: { tls: { certificate: 'tls/cert.pem', key: 'tls/key.pem', clients: 'pod.pem' } } });
    certificate(agent.dir, 'pod');
    certificate(agent.dir, 'stranger');
    await agent.start();
    agent.script('cat.sh', '#!/bin/sh\ncat\n');
    stubs = await makeStubs(agent);
  });
  after(() => agent.close());

  for (const transport of ['openssl', 'curl']) {
    test(`a stub with its certificate is served, by ${transport}`, async () => {
      assertCalled(await stubs.wss.call(['cat'], { stdin: 'x', env: { MEDIATOR_TRANSPORT: transport, ...from('pod') } }), { stdout: 'x' });
    });

    test(`a stub without one is told so, by ${transport}`, async () => {
      const called = await stubs.wss.call(['cat'], { env: { MEDIATOR_TRANSPORT: transport } });
      assertRefused(called, 77);
      assert.match(called.stderr, /MEDIATOR_CERT/);
    });

    test(`a stub with another one is told so, by ${transport}`, async () => {
      const called = await stubs.wss.call(['cat'], { env: { MEDIATOR_TRANSPORT: transport, ...from('stranger') } });
      assertRefused(called, 77);
      assert.match(called.stderr, /tls\.clients/);
    });

    test(`a certificate whose key is another's is a wrong setting, by ${transport}`, async () => {
      const env = { MEDIATOR_TRANSPORT: transport, ...from('pod'), MEDIATOR_CERT_KEY: path.join(agent.dir, 'stranger.key') };
      assertRefused(await stubs.wss.call(['cat'], { env }), 78);
    });
  }

  test('the other listener does not ask for one', async () => {
    assertCalled(await stubs.ws.call(['cat'], { stdin: 'x' }), { stdout: 'x' });
  });

  test('a resumed session of a client without a certificate is refused as the first one was', async () => {
    const first = tls(agent);
    const session = new Promise<Buffer>((resolve) => first.once('session', resolve));
    assert.match(await answer(agent, first), /^HTTP\/1\.1 401 /);
    const ticket = await soon('a session ticket', session);
    const second = tls(agent, ticket);
    await soon('a connection', once(second, 'secureConnect'));
    assert.equal(second.isSessionReused(), true);
    assert.match(await answer(agent, second), /^HTTP\/1\.1 401 /);
  });

  test('a key with a passphrase is refused, because nobody could type it', async () => {
    const file = path.join(agent.dir, 'locked.key');
    execFileSync('openssl', ['pkcs8', '-topk8', '-passout', 'pass:word', '-in', path.join(agent.dir, 'pod.key'), '-out', file]);
    assertRefused(await stubs.wss.call(['cat'], { env: { ...from('pod'), MEDIATOR_CERT_KEY: file } }), 78);
  });
});

test('an agent whose tls.clients is no file does not start, and says why', async () => {
  const agent = await prepareAgent({ settings: { tls: { certificate: 'tls/cert.pem', key: 'tls/key.pem', clients: 'nothing.pem' } } });
  await assert.rejects(agent.start(), /nothing\.pem/);
  agent.remove();
});

test('the whole way over curl: a run, its refusal and a wrong certificate', async () => {
  const agent = await prepareAgent();
  await agent.start();
  try {
    agent.script('seven.sh', '#!/bin/sh\ncat\necho "to stderr" >&2\nexit 7\n');
    const stub = await makeStub(agent);
    const env = { MEDIATOR_TRANSPORT: 'curl' };
    const stdin = readFileSync('/bin/sh');
    assertCalled(await stub.call(['seven'], { stdin, env }), { code: 7, stdout: stdin, stderr: 'to stderr\n' });
    assertRefused(await stub.call(['none-such'], { env }), 127);
    assertRefused(await stub.call(['seven'], { env: { ...env, MEDIATOR_CA: certificate(agent.dir, 'other') } }), 77);
  } finally {
    await agent.close();
  }
});

/** Makes NAME.pem and NAME.key. */
function certificate(folder: string, name: string): string {
  const file = path.join(folder, `${name}.pem`);
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc'];
  execFileSync('openssl', ['req', '-x509', ...curve, '-subj', `/CN=${name}`, '-keyout', path.join(folder, `${name}.key`), '-out', file], {
    stdio: 'ignore',
  });
  return file;
}

function tls(agent: TestAgent, session?: Buffer): TLSSocket {
  const { port } = new URL(agent.urls.wss);
  const socket = connect({ host: '127.0.0.1', port: Number(port), ca: agent.certificate, ...(session === undefined ? {} : { session }) });
  socket.on('error', () => undefined); // 'end' or 'close' follow
  return socket;
}

/** What a right request gets. */
async function answer(agent: TestAgent, socket: TLSSocket): Promise<string> {
  const headers = Object.entries(authHeaders(agent)).map(([name, value]) => `${name}: ${value}\r\n`);
  const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mediator.v1\r\n';
  socket.write(`GET /v1/run HTTP/1.1\r\nHost: x\r\n${upgrade}Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n${headers.join('')}\r\n`);
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
  await soon('an answer', once(socket, 'end'));
  socket.destroy();
  return text;
}
