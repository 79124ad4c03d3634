/** The client's side of the opening handshake (protocol/README.md, section 1), for a sidecar: what the stub does in bash. */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { Agent } from 'node:https';
import { connect, isIP, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { checkServerIdentity, connect as connectTls } from 'node:tls';
import { WebSocket } from 'ws';
import { bothProofs, formatAuthorization, proofsMatch } from '../../protocol/auth.ts';
import { HEADERS, INTERVALS, RUN_PATH, SUBPROTOCOL, type PATIENCE } from '../../protocol/constants.ts';
import { FAILURES, Failure, type FailureCode } from '../../protocol/failures.ts';
import { MAX_PAYLOAD, type Connection } from './connection.ts';
import { SocketConnection } from './socket-connection.ts';

export interface RemoteAgent {
  /** `wss://NAME:PORT`; on this machine also `ws://` */
  url: string;
  key: { id: string; secret: string };
  /** PEM: its certificate, or those of authorities. */
  ca: string | string[];
  /** Where to connect, if not where the URL says: a listener of this machine, called by the name that stubs know. */
  at?: { host: string; port: number };
}

/** TLS sessions are kept: from the second call on, a handshake takes one round trip and no certificates. */
const sessions = new Agent();

/** An open connection, on which the call is awaited for so many milliseconds. */
export interface Opened {
  connection: Connection;
  patience: number;
}

/**
 * Opens `/v1/run` and verifies who answers.
 * @param want `patience`: the connection is for a call that is still to come
 * @throws Failure `runner-away`, `unauthorized`, or what the agent refused with
 */
export async function dialAgent({ url, key, ca, at }: RemoteAgent, want?: typeof PATIENCE): Promise<Opened> {
  const audience = audienceOf(url);
  const claim = { audience, key: key.id, time: String(Math.floor(Date.now() / 1000)), nonce: randomBytes(16).toString('hex') };
  const proofs = bothProofs(key.secret, claim);
  const ws = new WebSocket(new URL(RUN_PATH, url), SUBPROTOCOL, {
    ...(at === undefined ? { agent: sessions } : { createConnection: () => connectTo(at, url, ca) }),
    ca,
    allowPartialTrustChain: true,
    headers: {
      [HEADERS.audience]: audience,
      authorization: formatAuthorization(claim, proofs.stub),
      ...(want && { [HEADERS.want]: want }),
    },
    perMessageDeflate: false,
    maxPayload: MAX_PAYLOAD,
    skipUTF8Validation: true,
    handshakeTimeout: INTERVALS.handshake,
    generateMask: (mask) => mask.fill(0), // inside TLS, nobody sees frames whom masking could protect
  });
  return new Promise((resolve, reject) => {
    let socket: Socket | undefined;
    let proof = '';
    let patience: number = INTERVALS.opening;
    ws.once('upgrade', (response) => {
      socket = response.socket;
      proof = headerOf(response, HEADERS.proof);
      patience = Number(headerOf(response, HEADERS.patience)) * 1000 || INTERVALS.opening;
    });
    ws.once('open', () => {
      if (proofsMatch(proof, proofs.agent)) resolve({ connection: new SocketConnection(ws, socket), patience });
      else {
        ws.terminate();
        reject(new Failure('unauthorized', `what answers at ${url} does not know the key ${key.id}: it is not the agent`));
      }
    });
    ws.once('unexpected-response', (_request, response) => {
      void refusalOf(response, at === undefined ? `${url} refuses this sidecar` : `${url} refuses`).then((failure) => {
        reject(failure);
        ws.terminate();
      });
    });
    ws.once('error', (cause) => {
      const [reason] = cause.message.split('; if the root CA'); // Node advises what would be wrong here
      reject(new Failure('runner-away', `the agent at ${url} cannot be reached: ${reason ?? ''}`, { cause }));
    });
  });
}

/** @param ca for `wss:` */
function connectTo(at: NonNullable<RemoteAgent['at']>, url: string, ca: RemoteAgent['ca']): Socket {
  if (url.startsWith('ws:')) return connect(at);
  const name = audienceOf(url);
  return connectTls({
    ...{ ...at, ca, allowPartialTrustChain: true, servername: isIP(name) === 0 ? name : '' },
    checkServerIdentity: (_host, certificate) => checkServerIdentity(name, certificate),
  });
}

/** What the proof is made for: the name that is dialed. */
function audienceOf(url: string): string {
  return new URL(url).hostname.replace(/^\[|\]$/g, '');
}

async function refusalOf(response: IncomingMessage, refuses: string): Promise<Failure> {
  const code = headerOf(response, HEADERS.failure);
  const said = await text(response).catch(() => '');
  if (isFailureCode(code)) return new Failure(code, `the agent at ${refuses}: ${said.trim()}`);
  return new Failure('runner-away', `${refuses}, and is no agent: HTTP ${response.statusCode ?? 0}`);
}

function isFailureCode(text: string): text is FailureCode {
  return Object.hasOwn(FAILURES, text);
}

function headerOf(response: IncomingMessage, name: string): string {
  const value = response.headers[name];
  return typeof value === 'string' ? value : '';
}
