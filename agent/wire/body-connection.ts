/**
 * A conversation over the two bodies of one HTTP POST, made of the same frames: for stubs that have curl and no openssl
 * (protocol/README.md, section 7). Beyond the framing nothing knows the difference.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Receiver, Sender } from 'ws';
import { HIGH_WATER, MAX_PAYLOAD, type Connection } from './connection.ts';

const nothing = (): void => undefined;

const FRAME = { fin: true, compress: false, mask: false };

export class BodyConnection implements Connection {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #receiver = new Receiver({ isServer: true, maxPayload: MAX_PAYLOAD, skipUTF8Validation: true });
  readonly #sender: Sender;
  #state: 'open' | 'closing' | 'closed' = 'open';
  #code = 1006;
  #paused = false;

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.#request = request;
    this.#response = response;
    // Not corked: a response that is does not always say that it has drained (Node 22), and gathers what is written in one turn by itself.
    this.#sender = new Sender({ write: (data: Buffer) => response.write(data), cork: nothing, uncork: nothing });
    request.on('data', (chunk: Buffer) => {
      if (!this.#receiver.write(chunk)) request.pause();
    });
    this.#receiver.on('drain', () => {
      if (!this.#paused) request.resume();
    });
    this.#receiver.on('ping', (data: Buffer) => {
      this.#sender.pong(data, false);
    });
    this.#receiver.on('conclude', (code: number) => {
      this.#code = code;
      this.close(code === 1005 ? 1000 : code);
    });
    this.#receiver.on('error', () => {
      this.close(1002);
    });
    // The end of the request's body means only that the stub sends no more; a connection that broke closes the response.
    request.on('error', () => response.destroy());
    response.on('error', () => undefined);
  }

  get open(): boolean {
    return this.#state === 'open';
  }

  get congested(): boolean {
    return this.#response.writableLength > HIGH_WATER;
  }

  onMessage(handler: (data: Buffer, binary: boolean) => void): void {
    this.#receiver.on('message', handler);
  }

  onClose(handler: (code: number) => void): void {
    this.#response.once('close', () => {
      this.#state = 'closed';
      handler(this.#code);
    });
  }

  send(data: string | Buffer): void {
    if (!this.open) return;
    this.#sender.send(data, { ...FRAME, binary: typeof data !== 'string' });
  }

  onceDrained(callback: () => void): void {
    this.#response.once('drain', callback);
  }

  pause(): void {
    this.#paused = true;
    this.#request.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#request.resume();
  }

  close(code: number, reason = ''): void {
    if (this.#state !== 'open') return;
    this.#state = 'closing';
    this.#sender.close(code, reason, false);
    this.#response.end();
  }

  destroy(): void {
    this.#response.destroy();
  }
}
