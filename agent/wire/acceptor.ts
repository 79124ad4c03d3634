/** The server's side of the WebSocket handshake (RFC 6455, section 4.2). */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { Socket } from 'node:net';
import { WebSocketServer } from 'ws';
import { SUBPROTOCOL } from '../../protocol/constants.ts';
import { Failure, type FailureCode, exitCodeOf, statusOf } from '../../protocol/failures.ts';
import { MAX_PAYLOAD, type Connection } from './connection.ts';
import { SocketConnection } from './socket-connection.ts';

/** How long a peer that was refused may take to close its side. */
const LINGER = 2000;

const STATUS_TEXT: Record<number, string> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  413: 'Content Too Large',
  421: 'Misdirected Request',
  426: 'Upgrade Required',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
};

export class Acceptor {
  readonly #server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: MAX_PAYLOAD,
    skipUTF8Validation: true, // the codec does it, and says what was wrong
    handleProtocols: (protocols) => (protocols.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
  });
  readonly #answerHeaders = new WeakMap<IncomingMessage, string[]>();

  constructor() {
    this.#server.on('headers', (headers, request) => {
      headers.push(...(this.#answerHeaders.get(request) ?? []));
    });
    this.#server.on('wsClientError', (error, socket) => {
      refuse(socket, new Failure('bad-request', `not a WebSocket request: ${error.message}`));
    });
  }

  /**
   * Completes the upgrade, or refuses it with `bad-request`.
   * @param headers lines to add to the 101 answer
   */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer, headers: string[], onOpen: (connection: Connection) => void): void {
    const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
    if (!offered.includes(SUBPROTOCOL)) {
      refuse(socket, new Failure('bad-request', `this agent speaks the WebSocket subprotocol ${SUBPROTOCOL}, which was not offered`));
      return;
    }
    this.#answerHeaders.set(request, headers);
    this.#server.handleUpgrade(request, socket, head, (ws) => {
      onOpen(new SocketConnection(ws, socket instanceof Socket ? socket : undefined));
    });
  }
}

/** Answers a request that will not be upgraded, in the one form that the wire gives (protocol/README.md, section 1), and closes. */
export function refuse(socket: Duplex, failure: Failure, status = statusOf(failure.code)): void {
  if (!socket.writable) return;
  socket.end(refusal(failure, status));
  socket.resume(); // unread bytes would make a reset of our close, and the peer would lose the answer
  const lingering = setTimeout(() => socket.destroy(), LINGER);
  socket.once('close', () => {
    clearTimeout(lingering);
  });
}

/** The bytes of such an answer. */
function refusal(failure: Failure, status: number): string {
  const body = `${failure.message.replace(/\s+/g, ' ')}\n`;
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_TEXT[status] ?? ''}`,
    ...refusalHeaders(failure.code),
    `Content-Length: ${Buffer.byteLength(body)}`,
  ].concat('', body);
  return lines.join('\r\n');
}

function refusalHeaders(code: FailureCode): string[] {
  const upgrade = statusOf(code) === 426 ? [`Upgrade: websocket`, 'Connection: Upgrade, close'] : ['Connection: close'];
  const retry = exitCodeOf(code) === 75 ? ['Retry-After: 5'] : [];
  return [
    `Date: ${new Date().toUTCString()}`,
    'Content-Type: text/plain; charset=utf-8',
    `Mediator-Failure: ${code}`,
    'Cache-Control: no-store',
    ...upgrade,
    ...retry,
  ];
}
