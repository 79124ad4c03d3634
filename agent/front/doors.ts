/**
 * The two doors of the front, a WebSocket and a POST with the same frames in its bodies, and what is said to everybody else. Long because all of them let
 * in, refuse and count by the same few functions.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { parseAuthorization } from '../../protocol/auth.ts';
import { HEADERS, LIMITS, PATIENCE, RUN_PATH } from '../../protocol/constants.ts';
import { Failure } from '../../protocol/failures.ts';
import type { Call, Caller } from '../../protocol/messages.ts';
import { TICK } from '../../protocol/records.ts';
import type { Config } from '../config/config.ts';
import type { Key } from '../config/keys.ts';
import type { Logger } from '../log.ts';
import { Acceptor, refuse } from '../wire/acceptor.ts';
import { BodyConnection } from '../wire/body-connection.ts';
import type { Connection } from '../wire/connection.ts';
import { answerHeaders } from './answer-headers.ts';
import { checkClientCertificate } from './client-certificate.ts';
import { audienceIn, type Admitted, type Gate, type Proven } from './gate.ts';
import type { Lobby } from './lobby.ts';
import type { FrontMetrics, Transport } from './metrics.ts';
import { firstMessage } from './patience.ts';
import type { Refusals } from './refusals.ts';
import { relay } from './relay.ts';
import { SMART_TASKS, answerSmartTask, smartTaskCall, smartTaskStatus } from './smart-task.ts';
import type { Upstream } from './upstream.ts';

export interface DoorParts {
  gate: Gate;
  lobby: Lobby;
  upstream: Upstream;
  config: Config;
  log: Logger;
  metrics: FrontMetrics;
  refusals: Refusals;
}

/** Who calls, and what, as far as it is known. */
interface Peer {
  address: string;
  proven?: Proven;
  call?: Call;
}

export function openDoors(server: Server, { gate, lobby, upstream, config, log, metrics, refusals }: DoorParts): void {
  const acceptor = new Acceptor();

  const clients = config.tls?.clients !== undefined;
  const admit = (request: IncomingMessage, method: 'GET' | 'POST', peer: Peer): Admitted => {
    if (clients) checkClientCertificate(request.socket);
    const opening = { method, path: request.url ?? '', headers: request.headers, address: peer.address };
    const admitted = gate.admit(opening, Date.now(), (proven) => (peer.proven = proven));
    lobby.admit(request.socket);
    return admitted;
  };
  const refused = (failure: Failure, { address, proven, call }: Peer): void => {
    metrics.refused(failure.code);
    if (proven !== undefined) refusals.note(failure, callerOf(proven, address), call);
  };
  const pass = (stub: Connection, proven: Proven, address: string, { dial = upstream.dial, key = () => proven.key } = {}): void => {
    const count = (failure: Failure, call: Call | undefined): void => refused(failure, { address, proven, ...(call && { call }) });
    relay({ stub, upstream: { ...upstream, dial }, key, caller: callerOf(proven, address), log, refused: count });
  };
  const enter = (stub: Connection, admitted: Admitted, address: string, transport: Transport): void => {
    metrics.admitted(transport);
    pass(stub, admitted, address);
  };
  /** The key may have been revoked by the time that the call comes. */
  const wait = (stub: Connection, admitted: Admitted, address: string): void => {
    const dial = async (): Promise<Connection> => {
      await firstMessage(stub);
      metrics.admitted('websocket');
      return upstream.dial();
    };
    const key = (): Key => gate.readmit(admitted, address, Date.now());
    pass(stub, admitted, address, { dial, key });
  };
  /** The log names the key that was claimed; who called learns nothing of it. */
  const note = (error: unknown, { headers }: IncomingMessage, peer: Peer): Failure => {
    const failure = Failure.from(error);
    const claimed = parseAuthorization(headers.authorization, audienceIn(headers))?.claim.key;
    refused(failure, peer);
    log.warn({ code: failure.code, reason: failure.message, address: peer.address, claimed }, 'refused');
    return failure;
  };

  const smartTask = async (request: IncomingMessage, response: ServerResponse, peer: Peer): Promise<void> => {
    try {
      if (clients) checkClientCertificate(request.socket);
      if (request.headers.origin !== undefined) throw new Failure('origin', 'browsers may not call; this request has an Origin header');
      const secret = request.headers['x-chkp-shared-secret'];
      const { address } = peer;
      const proven = gate.admitSecret(typeof secret === 'string' ? secret : undefined, address, Date.now(), (who) => (peer.proven = who));
      lobby.admit(request.socket);
      metrics.admitted('web-request');
      peer.call = smartTaskCall(request.url ?? '');
      await answerSmartTask(request, response, { key: proven.key, caller: callerOf(proven, address), call: peer.call }, upstream);
    } catch (error) {
      const failure = note(error, request, peer);
      refuse(request.socket, failure, smartTaskStatus(failure));
    }
  };

  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const peer: Peer = { address: addressOf(request) };
    const { address } = peer;
    socket.on('error', () => undefined); // a peer that vanished; whoever uses the socket hears of its close
    try {
      const admitted = admit(request, 'GET', peer);
      const headers = Object.entries(answerHeaders(request.headers, admitted)).map(([name, value]) => `${name}: ${value}`);
      acceptor.accept(request, socket, head, headers, (stub) => {
        if (request.headers[HEADERS.want] === PATIENCE) wait(stub, admitted, address);
        else enter(stub, admitted, address, 'websocket');
      });
    } catch (error) {
      refuse(socket, note(error, request, peer));
    }
  });

  server.on('request', (request, response) => {
    const peer: Peer = { address: addressOf(request) };
    if (request.method === 'POST' && request.url?.startsWith(SMART_TASKS) === true) {
      void smartTask(request, response, peer);
      return;
    }
    try {
      if (request.url !== RUN_PATH) throw new Failure('not-found', `nothing is served here; stubs call ${RUN_PATH}`);
      if (request.method !== 'POST') throw new Failure('upgrade-required', 'this is the agent; stubs call it with a WebSocket');
      const admitted = admit(request, 'POST', peer);
      beginBody(response, answerHeaders(request.headers, admitted));
      const stub = new BodyConnection(request, response);
      stub.send(TICK); // curl passes the head of an answer on with the first bytes of its body
      enter(stub, admitted, peer.address, 'post');
    } catch (error) {
      refuse(request.socket, note(error, request, peer));
    }
  });

  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    if (error.code === 'ECONNRESET') {
      socket.destroy();
      return;
    }
    const failure =
      error.code === 'HPE_HEADER_OVERFLOW'
        ? new Failure('headers-too-large', `the request headers are longer than ${LIMITS.headers} bytes`)
        : new Failure('bad-request', 'this is not an HTTP request, or it did not arrive in time');
    metrics.refused(failure.code);
    refuse(socket, failure);
  });
}

function callerOf({ key, previous }: Proven, address: string): Caller {
  return { key: key.id, address, ...(previous ? { previous } : {}) };
}

function beginBody(response: ServerResponse, headers: Record<string, string>): void {
  response.writeHead(200, {
    'content-type': 'application/octet-stream',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no', // nginx: pass frames on as they come
    ...headers,
  });
  response.flushHeaders();
}

function addressOf(request: IncomingMessage): string {
  return request.socket.remoteAddress?.replace(/^::ffff:/, '') ?? '';
}
