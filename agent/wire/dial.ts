/** The client's side: the front and the command line dial the runner's Unix socket. */
import { connect, type Socket } from 'node:net';
import { WebSocket } from 'ws';
import { RUN_PATH, SUBPROTOCOL } from '../../protocol/constants.ts';
import { Failure } from '../../protocol/failures.ts';
import { MAX_PAYLOAD, type Connection } from './connection.ts';
import { LINK_PATH, LINK_PROTOCOL, Link } from './link.ts';
import { SocketConnection } from './socket-connection.ts';

/** Longer than a busy runner needs, shorter than a caller's patience. */
export const DIAL_PATIENCE = 10_000;

/** As much as the system has for us at once. */
const READ = 256 * 1024;
const HEAD_END = '\r\n\r\n';
const MAX_HEAD = 8 * 1024;

/** Opens `/v1/run` on the runner's socket. @throws Failure `runner-away`, or what the runner refused with */
export async function dialRunner(socketPath: string): Promise<Connection> {
  const ws = new WebSocket(`ws+unix:${socketPath}:${RUN_PATH}`, SUBPROTOCOL, {
    perMessageDeflate: false,
    maxPayload: MAX_PAYLOAD,
    skipUTF8Validation: true,
    handshakeTimeout: DIAL_PATIENCE,
    // A key of zero: nobody is between the two ends of a Unix socket whom masking could protect.
    generateMask: (mask) => mask.fill(0),
  });
  return new Promise((resolve, reject) => {
    let socket: Socket | undefined;
    ws.once('upgrade', (response) => (socket = response.socket));
    ws.once('open', () => {
      resolve(new SocketConnection(ws, socket));
    });
    ws.once('unexpected-response', (_request, response) => {
      reject(new Failure('runner-away', `the runner answered with HTTP ${response.statusCode ?? 0}`));
      ws.terminate();
    });
    ws.once('error', (cause) => {
      reject(away(socketPath, cause));
    });
  });
}

/** Opens a link over which any number of conversations with the runner go. @throws Failure `runner-away` */
export function dialLink(socketPath: string): Promise<Link> {
  return new Promise((resolve, reject) => {
    let link: Link | undefined;
    let head = '';
    // Read into one buffer again and again: what comes is copied out of it, and whatever is not garbage does not have to be collected.
    const onread = {
      buffer: Buffer.allocUnsafeSlow(READ),
      callback: (length: number, buffer: Uint8Array): boolean => {
        const chunk = Buffer.from(buffer.buffer, buffer.byteOffset, length);
        if (link === undefined) begin(chunk);
        else link.read(chunk);
        return true;
      },
    };
    const socket = connect({ path: socketPath, onread });
    const begin = (chunk: Buffer): void => {
      head += chunk.toString('latin1');
      const end = head.indexOf(HEAD_END);
      if (end !== -1 && head.startsWith('HTTP/1.1 101 ')) {
        socket.setTimeout(0);
        resolve((link = new Link(socket)));
        link.read(Buffer.from(head.slice(end + HEAD_END.length), 'latin1'));
      } else if (end !== -1 || head.length > MAX_HEAD) {
        socket.destroy(new Error(`the runner answered with ${head.split('\r\n', 1)[0] ?? ''}`));
      }
    };
    socket.setTimeout(DIAL_PATIENCE, () => socket.destroy(new Error('no answer')));
    socket.on('error', (cause) => reject(away(socketPath, cause)));
    socket.once('close', () => reject(away(socketPath)));
    socket.write(`GET ${LINK_PATH} HTTP/1.1\r\nHost: runner\r\nConnection: Upgrade\r\nUpgrade: ${LINK_PROTOCOL}${HEAD_END}`);
    socket.resume();
  });
}

export function away(socketPath: string, cause?: unknown): Failure {
  const denied = cause instanceof Error && 'code' in cause && cause.code === 'EACCES';
  const message = denied
    ? `${socketPath} may not be opened by this user; use sudo, or the user of the agent`
    : `nothing answers at ${socketPath}; is the agent running?`;
  return new Failure('runner-away', message, { cause });
}
