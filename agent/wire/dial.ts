/** The client's side: the front and the command line dial the runner's Unix socket. */
import type { Socket } from 'node:net';
import { WebSocket } from 'ws';
import { RUN_PATH, SUBPROTOCOL } from '../../protocol/constants.ts';
import { Failure } from '../../protocol/failures.ts';
import { MAX_PAYLOAD, type Connection } from './connection.ts';
import { SocketConnection } from './socket-connection.ts';

/** Longer than a busy runner needs, shorter than a caller's patience. */
const TIMEOUT = 10_000;

/** Opens `/v1/run` on the runner's socket. @throws Failure `runner-away`, or what the runner refused with */
export async function dialRunner(socketPath: string): Promise<Connection> {
  const ws = new WebSocket(`ws+unix:${socketPath}:${RUN_PATH}`, SUBPROTOCOL, {
    perMessageDeflate: false,
    maxPayload: MAX_PAYLOAD,
    skipUTF8Validation: true,
    handshakeTimeout: TIMEOUT,
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
      reject(new Failure('runner-away', `nothing answers at ${socketPath}; is the agent running?`, { cause }));
    });
  });
}
