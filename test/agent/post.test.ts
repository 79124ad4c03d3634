/** The two doors that are no WebSocket: a conversation over the bodies of a POST, and Check Point's web request. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request, type ClientRequest, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { after, before, suite, test } from 'node:test';
import { Receiver, Sender } from 'ws';
import { z } from 'zod';
import { agentProof, formatAuthorization, stubProof, type Claim, type Method } from '../../protocol/auth.ts';
import { exitCodeOf } from '../../protocol/failures.ts';
import type { StubMessage } from '../../protocol/messages.ts';
import { decodeAgentMessage, type AgentMessage, type Terminal } from '../../protocol/records.ts';
import { startAgent, type TestAgent } from '../helpers/agent.ts';
import { descriptorsOf, residentBytes } from '../helpers/processes.ts';
import { invoke, newToken, startMessage } from '../helpers/stub.ts';
import { soon, until } from '../helpers/wait.ts';

const MIB = 1024 * 1024;
const FRAME = { fin: true, compress: false, mask: true };
const Response = z.custom<IncomingMessage>((value) => typeof value === 'object');

/** A conversation over POST. */
class Posted {
  readonly #request: ClientRequest;
  readonly #sender: Sender;
  readonly messages: AgentMessage[] = [];
  response: IncomingMessage | undefined;
  ended = false;

  constructor(call: ClientRequest) {
    this.#request = call;
    this.#sender = new Sender(call);
    call.on('error', () => undefined);
    call.flushHeaders();
  }

  async answered(): Promise<IncomingMessage> {
    const [response] = z.tuple([Response]).parse(await soon('an answer', once(this.#request, 'response')));
    const receiver = new Receiver({ isServer: false, maxPayload: 8 * MIB, skipUTF8Validation: true });
    receiver.on('message', (data: Buffer) => this.messages.push(decodeAgentMessage(data)));
    receiver.on('error', () => undefined);
    response.on('data', (chunk: Buffer) => receiver.write(chunk));
    response.on('close', () => (this.ended = true));
    response.on('error', () => undefined);
    this.response = response;
    return response;
  }

  send(message: StubMessage): void {
    this.#sender.send(JSON.stringify(message), { ...FRAME, binary: false });
  }

  sendBinary(data: Buffer): void {
    this.#sender.send(data, { ...FRAME, binary: true });
  }

  sendRaw(bytes: Buffer): void {
    this.#request.write(bytes);
  }

  async terminal(): Promise<Terminal> {
    return until('a terminal record', () => this.messages.find((message) => message.type === 'terminal'));
  }

  stdout(): Buffer {
    return Buffer.concat(
      this.messages.flatMap((message) => (message.type === 'output' && message.stream === 'stdout' ? [message.data] : [])),
    );
  }

  destroy(): void {
    this.#request.destroy();
  }
}

suite('over POST', () => {
  let agent: TestAgent;
  before(async () => {
    agent = await startAgent({ settings: { limits: { stdin: 8 * MIB } } });
    agent.script('cat.sh', '#!/bin/bash\ncat\nexit 3\n');
    agent.script('large.py', '#!/usr/bin/env python3\nimport os\nfor n in range(512): os.write(1, b"x" * 65536)\n');
    agent.script('verdict.py', '#!/usr/bin/env python3\nimport base64, sys\nprint(base64.b64decode(sys.argv[1]).decode())\n', {
      manifest: 'kind: before\n',
    });
    agent.script('fails.sh', '#!/bin/bash\nexit 1\n', { manifest: 'kind: after\n' });
    await invoke(agent, { script: 'first' }); // the link between front and runner is made with the first call, and stays
  });
  after(() => agent.close());

  function newClaim(): Claim {
    return { audience: '127.0.0.1', key: agent.key.id, time: String(Math.floor(Date.now() / 1000)), nonce: newToken() };
  }

  function post(
    headers: Record<string, string> = {},
    { signed = 'POST', secret = agent.key.secret, claim = newClaim() }: { signed?: Method; secret?: string; claim?: Claim } = {},
  ): Posted {
    const { hostname, port } = new URL(agent.urls.ws);
    const authorization = formatAuthorization(claim, stubProof(secret, claim, signed));
    const options = { host: hostname, port, path: '/v1/run', method: 'POST', agent: false };
    return new Posted(request({ ...options, headers: { 'mediator-audience': '127.0.0.1', authorization, ...headers } }));
  }

  test('a run gives its stdin, output and exit code back, and the connection is closed although the stub leaves its body open', async () => {
    const front = agent.part('front') ?? 0;
    const before = descriptorsOf(front);
    const claim = newClaim();
    const call = post({}, { claim });
    const response = await call.answered();
    assert.equal(response.statusCode, 200);
    assert.equal(response.headers['mediator-proof'], agentProof(agent.key.secret, claim, 'POST'));
    const stdin = Buffer.alloc(3 * MIB, 'ab\0');
    call.send(startMessage({ script: 'cat' }));
    for (let from = 0; from < stdin.length; from += MIB) call.sendBinary(stdin.subarray(from, from + MIB));
    call.send({ type: 'end', stdin: stdin.length });
    assert.equal((await call.terminal()).code, 3);
    assert.deepEqual(call.stdout(), stdin);
    call.send({ type: 'ack' });
    await until('the end of the response', () => call.ended);
    await until('the end of the connection', () => descriptorsOf(front) <= before);
  });
  test('a proof for a WebSocket, a wrong one and none are refused', async () => {
    for (const [call, failure] of [
      [post({}, { signed: 'GET' }), 'unauthorized'],
      [post({}, { secret: 'w'.repeat(43) }), 'unauthorized'],
      [post({ authorization: '' }), 'bad-request'],
      [post({ origin: 'https://a' }), 'origin'],
    ] as const) {
      const response = await call.answered();
      assert.equal(response.headers['mediator-failure'], failure);
      call.destroy();
    }
  });
  test('messages out of order, and frames that are none, are refused, and nothing is left', async () => {
    const early = post();
    await early.answered();
    early.sendBinary(Buffer.from('x'));
    assert.equal((await early.terminal()).code, exitCodeOf('out-of-order'));
    early.destroy();
    const unmasked = post();
    await unmasked.answered();
    unmasked.sendRaw(Buffer.from([0x81, 0x02, 0x7b, 0x7d]));
    await until('the end of the response', () => unmasked.ended);
    const lost = post();
    await lost.answered();
    lost.send(startMessage({ script: 'cat' }));
    lost.sendBinary(Buffer.alloc(100_000));
    await until('the upload has a file', () => agent.incoming().length === 1);
    lost.destroy();
    await until('the upload has gone', () => agent.incoming().length === 0);
    assert.equal((await agent.runs()).length, 1);
  });
  test('a caller that never reads costs a bounded memory', async () => {
    const parts = [agent.part('front') ?? 0, agent.part('runner') ?? 0];
    const before = parts.map(residentBytes);
    const call = post();
    const response = await call.answered();
    response.pause();
    call.send(startMessage({ script: 'large' }));
    call.send({ type: 'end', stdin: 0 });
    await until('the end of the run', async () => {
      const [run] = await agent.runs('script=large&limit=1');
      return run?.outcome === 'exited';
    });
    parts.forEach((pid, index) => {
      assert.ok(residentBytes(pid) - (before[index] ?? 0) < 48 * MIB);
    });
    response.resume();
    assert.equal((await call.terminal()).stdout, 32 * MIB);
    await until('all of it', () => call.stdout().length === 32 * MIB);
    call.destroy();
  });

  async function webRequest(
    name: string,
    body: string,
    headers: Record<string, string> = {},
  ): Promise<{ status: number | undefined; body: string }> {
    const { hostname, port } = new URL(agent.urls.ws);
    const call = request({
      ...{ host: hostname, port, path: `/v1/smart-tasks/${name}`, method: 'POST', agent: false },
      headers: { 'x-chkp-shared-secret': agent.key.secret, ...headers },
    });
    call.end(body);
    const [response] = z.tuple([Response]).parse(await soon('an answer', once(call, 'response')));
    return { status: response.statusCode, body: await text(response) };
  }

  test('a web request gets its script’s verdict', async () => {
    const verdict = { result: 'failure', message: 'no' };
    const { status, body } = await webRequest('verdict', JSON.stringify(verdict));
    assert.equal(status, 200);
    assert.deepEqual(JSON.parse(body), verdict);
  });
  test('a web request that fails gets a status that says so', async () => {
    assert.equal((await webRequest('fails', '{}')).status, 500);
    assert.equal((await webRequest('nothing', '{}')).status, 404);
    assert.equal((await webRequest('..%2fx', '{}')).status, 404);
    assert.equal((await webRequest('%ff', '{}')).status, 404);
    assert.equal((await webRequest('verdict', 'no JSON')).status, 400);
    assert.equal((await webRequest('verdict', '{}', { 'x-chkp-shared-secret': 'wrong' })).status, 401);
    assert.equal((await webRequest('verdict', '{}', { origin: 'https://a' })).status, 403);
    assert.equal((await webRequest('verdict', `{"a":"${'x'.repeat(8 * MIB)}"}`)).status, 413);
  });
});
