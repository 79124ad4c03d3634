/**
 * Connections by what they have shown. Strangers wait here until their proof was right: there are only so many, and whoever comes last pushes out
 * who has waited longest, so that silence keeps nobody out. Those inside have a bound of their own, and hear it if it is reached.
 */
import type { Socket } from 'node:net';
import { Failure } from '../../protocol/failures.ts';
import type { Logger } from '../log.ts';

/** A flood is one line in the log so often, in milliseconds. */
const NOTE = 10_000;

export class Lobby {
  readonly #limits: { connections: number; handshakes: number };
  readonly #log: Logger;
  readonly #onPushedOut: () => void;
  /** By peer, oldest first. Of a TLS connection the TCP socket; the one above it has the same peer. */
  readonly #waiting = new Map<string, Socket>();
  readonly #inside = new Set<string>();
  #pushedOut = 0;
  #notedAt = -Infinity;

  /** @param onPushedOut told of every stranger that was pushed out */
  constructor(limits: { connections: number; handshakes: number }, log: Logger, onPushedOut: () => void) {
    this.#limits = limits;
    this.#log = log;
    this.#onPushedOut = onPushedOut;
  }

  /** A connection that says nothing of who it is, yet. */
  enter(socket: Socket): void {
    const peer = peerOf(socket);
    this.#waiting.set(peer, socket);
    socket.once('close', () => {
      if (this.#waiting.get(peer) === socket) this.#waiting.delete(peer);
    });
    if (this.#waiting.size <= this.#limits.handshakes) return;
    for (const [oldest, stranger] of this.#waiting) {
      this.#waiting.delete(oldest);
      stranger.destroy();
      break;
    }
    this.#onPushedOut();
    this.#notePushedOut();
  }

  /** A connection whose proof was right. @throws Failure `busy` */
  admit(socket: Socket): void {
    const peer = peerOf(socket);
    if (this.#inside.has(peer)) return; // one more request over the same connection
    if (this.#inside.size >= this.#limits.connections) {
      throw new Failure(
        'busy',
        `${this.#limits.connections} connections are open, as many as limits.connections in agent.yaml allows; try again later`,
      );
    }
    this.#waiting.delete(peer);
    this.#inside.add(peer);
    socket.once('close', () => {
      this.#inside.delete(peer);
    });
  }

  #notePushedOut(): void {
    this.#pushedOut += 1;
    if (performance.now() - this.#notedAt < NOTE) return;
    this.#notedAt = performance.now();
    this.#log.warn(
      { connections: this.#pushedOut, handshakes: this.#limits.handshakes },
      'connections without a proof were closed: more at once than limits.handshakes allows',
    );
    this.#pushedOut = 0;
  }
}

/** The same for both sockets of a TLS connection. */
function peerOf({ remoteAddress = '', remotePort = 0, localPort = 0 }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localPort}`;
}
