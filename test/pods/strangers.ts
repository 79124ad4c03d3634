/** Peers that are no agent. Each notes what it was told beyond the request that any peer gets to see. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { HOST } from './network.ts';

const ACCEPT_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'; // RFC 6455, section 4.2.2
const END_OF_HEADERS = '\r\n\r\n';

/** What a stranger says, once it has the whole request; undefined: nothing, ever. */
export type Answer = ((request: string, socket: Socket) => void) | undefined;

export interface Identity {
  key: string;
  /** PEM, leaf first. */
  cert: string;
}

export interface Stranger {
  port: number;
  /** Bytes that followed the headers of a request. */
  overheard: () => number;
  /** Requests that came at all: over TLS, only from a peer that trusts the certificate. */
  requests: () => number;
  close: () => void;
}

/** @param identity without it, the stranger speaks plaintext */
export async function openStranger(answer: Answer, identity?: Identity): Promise<Stranger> {
  let overheard = 0;
  let requests = 0;
  const sockets = new Set<Socket>();
  const meet = (socket: Socket): void => {
    sockets.add(socket);
    let heard = '';
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    socket.on('data', (chunk: Buffer) => {
      const complete = heard.includes(END_OF_HEADERS);
      heard += chunk.toString('latin1');
      if (complete || !heard.includes(END_OF_HEADERS)) overheard += complete ? chunk.length : 0;
      else {
        requests += 1;
        overheard += heard.length - heard.indexOf(END_OF_HEADERS) - END_OF_HEADERS.length;
        answer?.(heard, socket);
      }
    });
  };
  const server = identity === undefined ? createServer(meet) : createTlsServer(identity, meet);
  server.on('tlsClientError', () => undefined); // it does not trust us
  await once(server.listen(0, HOST), 'listening');
  return {
    port: portOf(server.address()),
    overheard: () => overheard,
    requests: () => requests,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Everything right, but for the proof that only the agent can make. */
export function answerWithoutSecret(request: string, socket: Socket): void {
  const proof = `Mediator-Proof: ${'0'.repeat(32)}`;
  if (request.startsWith('POST')) {
    socket.write(['HTTP/1.1 200 OK', 'Content-Type: application/octet-stream', 'Transfer-Encoding: chunked', proof, '', ''].join('\r\n'));
    return;
  }
  const key = /^sec-websocket-key: *(\S+)/im.exec(request)?.[1] ?? '';
  const accept = createHash('sha1').update(`${key}${ACCEPT_GUID}`).digest('base64');
  socket.write(
    [
      ...['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade', `Sec-WebSocket-Accept: ${accept}`],
      ...['Sec-WebSocket-Protocol: mediator.v1', proof, '', ''],
    ].join('\r\n'),
  );
}

/** Other servers that may listen on the port by mistake. */
export const STRANGERS: Record<string, { code: number; answer: Answer }> = {
  'a web page': {
    code: 78,
    answer: (_, socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\nhello'),
  },
  'a redirection': { code: 78, answer: (_, socket) => socket.end('HTTP/1.1 301 Moved\r\nLocation: /\r\nContent-Length: 0\r\n\r\n') },
  'a proxy alone': { code: 69, answer: (_, socket) => socket.end('HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n') },
  'a mail server': { code: 78, answer: (_, socket) => socket.end('220 mail.example ESMTP\r\n') },
  'a hang-up': { code: 69, answer: (_, socket) => socket.end() },
  'a flood': { code: 78, answer: (_, socket) => flood(socket) },
  silence: { code: 69, answer: undefined },
};

function flood(socket: Socket): void {
  const block = Buffer.alloc(65_536, 'x');
  const pour = (): void => {
    while (socket.writable && socket.write(block));
  };
  socket.on('drain', pour);
  pour();
}

function portOf(address: string | AddressInfo | null): number {
  if (address === null || typeof address === 'string') throw new Error('the server does not listen');
  return address.port;
}
