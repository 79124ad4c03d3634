/** A conversation over a WebSocket of its own (RFC 6455), by ws. */
import type { Socket } from 'node:net';
import { WebSocket } from 'ws';
import { HIGH_WATER, type Connection } from './connection.ts';
import { gather } from './gather.ts';

export class SocketConnection implements Connection {
  readonly #ws: WebSocket;
  readonly #socket: Socket | undefined;
  readonly #drainWaiters: (() => void)[] = [];

  /** @param socket the socket below, if known: lets several messages leave in one write */
  constructor(ws: WebSocket, socket?: Socket) {
    this.#ws = ws;
    this.#socket = socket;
    ws.on('error', () => undefined); // 'close' follows, with the code that was sent to the peer
  }

  onMessage(handler: (data: Buffer, binary: boolean) => void): void {
    this.#ws.on('message', (data: Buffer, binary: boolean) => {
      handler(data, binary);
    });
  }

  onClose(handler: (code: number) => void): void {
    this.#ws.once('close', handler);
  }

  get open(): boolean {
    return this.#ws.readyState === WebSocket.OPEN;
  }

  get congested(): boolean {
    return this.#ws.bufferedAmount > HIGH_WATER;
  }

  send(data: string | Buffer, passed?: () => void): void {
    if (!this.open) return;
    if (this.#socket !== undefined) gather(this.#socket);
    this.#ws.send(data, { binary: typeof data !== 'string' }, (error) => {
      if (!error) passed?.();
      this.#sent();
    });
  }

  onceDrained(callback: () => void): void {
    this.#drainWaiters.push(callback);
  }

  pause(): void {
    this.#ws.pause();
  }

  resume(): void {
    this.#ws.resume();
  }

  close(code: number, reason = ''): void {
    this.#ws.close(code, reason);
  }

  destroy(): void {
    this.#ws.terminate();
  }

  readonly #sent = (): void => {
    if (this.#drainWaiters.length === 0 || this.#ws.bufferedAmount > HIGH_WATER / 2) return;
    for (const callback of this.#drainWaiters.splice(0)) callback();
  };
}
