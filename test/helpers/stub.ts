/** A stub in TypeScript: speaks mediator.v1 as protocol/README.md says, or, where a test wants it, not quite so. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { WebSocket } from 'ws';
import { agentProof, formatAuthorization, stubProof, type Claim } from '../../protocol/auth.ts';
import { SUBPROTOCOL } from '../../protocol/constants.ts';
import type { Start, StubMessage } from '../../protocol/messages.ts';
import { decodeAgentMessage, type AgentMessage, type Terminal } from '../../protocol/records.ts';
import type { AgentKey, TestAgent } from './agent.ts';
import { soon, until } from './wait.ts';

export interface DialOptions {
  transport?: 'ws' | 'wss';
  key?: AgentKey;
  audience?: string;
  /** Seconds since the epoch. */
  time?: number;
  nonce?: string;
  /** Set or, with undefined, left out. */
  headers?: Record<string, string | undefined>;
  subprotocols?: string[];
}

/** What an HTTP answer other than 101 said. */
export interface Refusal {
  status: number;
  failure: string | undefined;
  body: string;
  /** All headers but the date, as they came. */
  headers: string[];
}

export const newToken = (): string => randomBytes(16).toString('hex');

/** A complete `start` with defaults. */
export function startMessage(fields: Partial<Start> & { script: string }): Start {
  return {
    type: 'start',
    token: newToken(),
    args: [],
    env: {},
    host: 'generic',
    accept: { frame: 65_535, bulk: 2 },
    stub: 'test',
    bash: '',
    ...fields,
  };
}

/** The headers of an upgrade request, without those that every WebSocket has. */
export function authHeaders(agent: TestAgent, options: DialOptions = {}): Record<string, string> {
  const { key = agent.key } = options;
  const claim = claimOf(agent, options);
  const headers: Record<string, string | undefined> = {
    'mediator-audience': claim.audience,
    authorization: formatAuthorization(claim, stubProof(key.secret, claim)),
    ...options.headers,
  };
  return Object.fromEntries(Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
}

function claimOf(agent: TestAgent, options: DialOptions): Claim {
  const { key = agent.key, audience = '127.0.0.1', time = Math.floor(Date.now() / 1000), nonce = newToken() } = options;
  return { audience, key: key.id, time: String(time), nonce };
}

function open(agent: TestAgent, options: DialOptions): WebSocket {
  const { transport = 'ws', subprotocols = [SUBPROTOCOL] } = options;
  return new WebSocket(`${agent.urls[transport]}/v1/run`, subprotocols, {
    ca: agent.certificate,
    perMessageDeflate: false,
    maxPayload: 8 * 1024 * 1024,
    headers: authHeaders(agent, options),
  });
}

/** Opens a connection; the agent's proof is verified. Fails if the agent refuses. */
export async function dial(agent: TestAgent, options: DialOptions = {}): Promise<Call> {
  const claim = claimOf(agent, options);
  const ws = open(agent, { ...options, time: Number(claim.time), nonce: claim.nonce });
  const call = new Call(ws);
  let proof: string | string[] | undefined;
  ws.once('upgrade', (response) => (proof = response.headers['mediator-proof']));
  await soon('a WebSocket', once(ws, 'open'));
  assert.equal(proof, agentProof((options.key ?? agent.key).secret, claim));
  return call;
}

/** Asks for a connection, and is refused. */
export async function refusalOf(agent: TestAgent, options: DialOptions = {}): Promise<Refusal> {
  const lines = [
    'GET /v1/run HTTP/1.1',
    'Host: agent.example',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
    ...(options.subprotocols ?? [SUBPROTOCOL]).map((name) => `Sec-WebSocket-Protocol: ${name}`),
    ...Object.entries(authHeaders(agent, options)).map(([name, value]) => `${name}: ${value}`),
  ];
  return exchange(agent, `${lines.join('\r\n')}\r\n\r\n`, options.transport);
}

/** A connection below HTTP. */
export async function openSocket(agent: TestAgent, transport: 'ws' | 'wss' = 'ws'): Promise<Socket> {
  const { hostname, port } = new URL(agent.urls[transport]);
  const address = { host: hostname, port: Number(port), allowHalfOpen: true };
  const socket = transport === 'ws' ? connectTcp(address) : connectTls({ ...address, ca: agent.certificate });
  socket.on('error', () => undefined); // 'close' follows
  await soon('a connection', once(socket, transport === 'ws' ? 'connect' : 'secureConnect'));
  return socket;
}

/** Sends bytes, and reads until the agent has closed the connection. We never close our side first. */
export async function exchange(agent: TestAgent, bytes: string | Buffer, transport: 'ws' | 'wss' = 'ws'): Promise<Refusal> {
  const socket = await openSocket(agent, transport);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  const closed = once(socket, 'end');
  socket.write(bytes);
  await soon('the end of an HTTP answer', closed);
  socket.destroy();
  return parseRefusal(Buffer.concat(chunks).toString());
}

function parseRefusal(text: string): Refusal {
  const [head = '', body = ''] = text.split(/\r\n\r\n([^]*)/);
  const [statusLine = '', ...headers] = head.split('\r\n');
  return {
    status: Number(/^HTTP\/1\.1 (\d{3}) /.exec(statusLine)?.[1]),
    failure: /^mediator-failure: (.*)$/im.exec(head)?.[1],
    body,
    headers: headers.filter((line) => !/^date:/i.test(line)),
  };
}

/** One connection after its 101. */
export class Call {
  readonly #ws: WebSocket;
  readonly messages: AgentMessage[] = [];
  /** What came after the terminal record. */
  readonly late: AgentMessage[] = [];
  #stdout: Buffer[] = [];
  #stderr: Buffer[] = [];
  #terminal: Terminal | undefined;
  #closeCode: number | undefined;
  readonly closed: Promise<number>;

  constructor(ws: WebSocket) {
    this.#ws = ws;
    ws.on('error', () => undefined); // 'close' follows
    ws.on('message', (data: Buffer) => {
      this.#receive(decodeAgentMessage(data));
    });
    this.closed = new Promise((resolve) =>
      ws.once('close', (code: number) => {
        this.#closeCode = code;
        resolve(code);
      }),
    );
  }

  /** The run's id, once it was accepted. */
  get run(): string | undefined {
    return this.messages.find((message) => message.type === 'accepted')?.run;
  }

  get stdout(): Buffer {
    return Buffer.concat(this.#stdout);
  }

  get stderr(): Buffer {
    return Buffer.concat(this.#stderr);
  }

  /** A message of the wire, or a text message of any bytes. */
  send(message: StubMessage | { text: string | Buffer }): void {
    this.#ws.send('type' in message ? JSON.stringify(message) : message.text, { binary: false });
  }

  /** stdin, whatever its size. */
  sendBinary(data: Buffer): void {
    this.#ws.send(data, { binary: true });
  }

  /** The whole of stdin, in messages of 1 MiB, and `end`. */
  sendStdin(stdin: Buffer, announced = stdin.length): void {
    for (let from = 0; from < stdin.length; from += 1024 * 1024) this.sendBinary(stdin.subarray(from, from + 1024 * 1024));
    this.send({ type: 'end', stdin: announced });
  }

  async accepted(): Promise<string> {
    return until('the run is accepted', () => this.run);
  }

  async terminal(): Promise<Terminal> {
    return until('a terminal record', () => {
      assert.ok(this.#terminal !== undefined || this.#closeCode === undefined, `closed with ${this.#closeCode} before a terminal record`);
      return this.#terminal;
    });
  }

  /** Reads no more. */
  pause(): void {
    this.#ws.pause();
  }

  resume(): void {
    this.#ws.resume();
  }

  /** Closes in order. */
  async close(): Promise<number> {
    this.#ws.close(1000);
    return soon('the close of a connection', this.closed);
  }

  /** Vanishes. */
  destroy(): void {
    this.#ws.terminate();
  }

  /** Says that everything arrived, and waits for the agent's close. */
  async ack(): Promise<number> {
    this.send({ type: 'ack' });
    return soon('the close after ack', this.closed);
  }

  #receive(message: AgentMessage): void {
    if (this.#terminal !== undefined) this.late.push(message);
    this.messages.push(message);
    if (message.type === 'output') (message.stream === 'stdout' ? this.#stdout : this.#stderr).push(message.data);
    if (message.type === 'terminal') this.#terminal = message;
  }
}

export interface Invoked {
  /** Undefined if it was never accepted. */
  run: string | undefined;
  terminal: Terminal;
  stdout: Buffer;
  stderr: Buffer;
}

export interface InvokeOptions extends DialOptions {
  stdin?: Buffer | string;
}

/** One invocation as a stub makes it, to its end; the totals are compared as a stub compares them. */
export async function invoke(agent: TestAgent, fields: Partial<Start> & { script: string }, options: InvokeOptions = {}): Promise<Invoked> {
  const call = await dial(agent, options);
  call.send(startMessage(fields));
  call.sendStdin(Buffer.from(options.stdin ?? ''));
  const terminal = await call.terminal();
  const { run, stdout, stderr } = call;
  assert.equal(terminal.outcome === 'refused' && run === undefined ? 0 : stdout.length, terminal.stdout);
  assert.equal(stderr.length, terminal.stderr);
  assert.equal(await call.ack(), 1000);
  assert.deepEqual(call.late, []);
  return { run, terminal, stdout, stderr };
}
