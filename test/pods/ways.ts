/** Ways to the agent that only TLS knows: with a client certificate, and through the HTTP proxy that the environment names. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { assertCalled, assertRefused, call, speaksTls, urlOf, type Case } from './cases.ts';
import { HOST, HOST_NAME } from './network.ts';
import type { Pod } from './pod.ts';
import type { World } from './world.ts';

const ANSWER = { code: 7, stdout: '<>|||', stderr: 'warning\n' };

export const WAY_CASES: Case[] = [
  { name: 'client certificate', applies: speaksTls, run: clientCertificate },
  { name: 'https_proxy, no_proxy', applies: speaksTls, run: httpProxy },
];

async function clientCertificate(pod: Pod, world: World): Promise<string> {
  const MEDIATOR_URL = urlOf(pod, Number(new URL(world.guarded.urls.wss).port));
  const from = (name: string): Record<string, string> => ({
    MEDIATOR_URL,
    ...{ MEDIATOR_CERT: `/stub/${name}.pem`, MEDIATOR_CERT_KEY: `/stub/${name}.key` },
  });
  assertCalled(await call(pod, ['small'], { env: from('client') }), ANSWER);
  assertRefused(await call(pod, ['small'], { env: { MEDIATOR_URL } }), 77, 'none');
  assertRefused(await call(pod, ['small'], { env: from('other') }), 77, 'another');
  return '';
}

async function httpProxy(pod: Pod, world: World): Promise<string> {
  const proxy = await openProxy();
  try {
    const https_proxy = `http://${HOST}:${proxy.port}`;
    const MEDIATOR_URL = urlOf(pod, world.door('wss').port, HOST_NAME);
    assertCalled(await call(pod, ['small'], { env: { MEDIATOR_URL, https_proxy } }), ANSWER);
    assert.deepEqual(proxy.targets, [`${HOST_NAME}:${world.door('wss').port}`]);
    assertCalled(await call(pod, ['small'], { env: { MEDIATOR_URL, https_proxy, no_proxy: '.test' } }), ANSWER);
    assert.equal(proxy.targets.length, 1, 'no_proxy was not heeded');
  } finally {
    proxy.close();
  }
  return '';
}

/** Knows CONNECT and nothing else; every name leads to the host. */
async function openProxy(): Promise<{ port: number; targets: string[]; close: () => void }> {
  const targets: string[] = [];
  const server = createServer((_request, response) => response.writeHead(405).end());
  server.on('connect', ({ url = '' }, socket, head) => {
    targets.push(url);
    const onward = connect(Number(/\d+$/.exec(url)?.[0]), HOST, () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      onward.write(head);
      onward.pipe(socket).pipe(onward);
    });
    for (const end of [socket, onward]) end.on('error', () => onward.destroy());
  });
  await once(server.listen(0, HOST), 'listening');
  const address = server.address();
  assert.ok(address !== null && typeof address !== 'string');
  return { port: address.port, targets, close: () => server.close() };
}
