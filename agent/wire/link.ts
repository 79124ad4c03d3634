/**
 * Many conversations over one connection that is kept: what the front and the runner say to each other. A WebSocket for each call would cost both
 * of them more than everything else that they do for it (docs/decisions.md). A frame is the number of the call, what it is, the length of its
 * payload, and the payload. Both ends are ours and trust each other; a frame that is none ends the connection, and with it every call.
 */
import type { Duplex } from 'node:stream';
import { gather } from './gather.ts';
import type { Connection } from './connection.ts';
import { takeBuffer } from './large-buffers.ts';
import { HEADER, KIND, isFrame, type Kind } from './link-frames.ts';
import { LinkedConnection } from './linked-connection.ts';

/** Where a link begins on the runner's socket, and the name in its `Upgrade` header. */
export const LINK_PATH = '/v1/link';
export const LINK_PROTOCOL = 'mediator-link';

/** A payload that is not longer is copied behind its header: one buffer costs the system less than two. */
const SMALL = 4096;
/** More at once than a front may have connections. */
const MAX_CALLS = 100_000;
const NUMBERS = 2 ** 32;

export class Link {
  readonly #socket: Duplex;
  readonly #accept: ((connection: Connection) => void) | undefined;
  readonly #calls = new Map<number, LinkedConnection>();
  /** Resolves when the connection is lost or closed. */
  readonly closed: Promise<void>;
  readonly #header = Buffer.alloc(HEADER);
  /** Bytes of the header that have arrived, and of a payload that did not come in one piece. */
  #headed = 0;
  #payload: Buffer | undefined;
  #filled = 0;
  #last = 0;
  #retired = false;

  /**
   * @param socket after its upgrade. What comes over it is given to {@link read}, by whoever reads it
   * @param accept gets every conversation that the other end begins; without it, only we begin any
   */
  constructor(socket: Duplex, accept?: (connection: Connection) => void) {
    this.#socket = socket;
    this.#accept = accept;
    socket.on('error', () => undefined); // 'close' follows
    socket.once('end', () => socket.destroy()); // an HTTP server's socket would stay half open
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        for (const call of this.#calls.values()) call.lost();
        resolve();
      });
    });
  }

  /** Begins a conversation. Undefined if the other end does not take it within so many milliseconds, or the connection is lost. */
  open(patience: number): Promise<Connection | undefined> {
    do this.#last = (this.#last + 1) % NUMBERS;
    while (this.#calls.has(this.#last));
    const call = this.#begin(this.#last);
    const taken = call.taken(patience);
    this.#send(this.#last, KIND.open);
    return taken;
  }

  /** Takes no more conversations, and closes when the last one has ended. */
  retire(): void {
    this.#retired = true;
    if (this.#calls.size === 0) this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #begin(id: number): LinkedConnection {
    const call = new LinkedConnection(
      (kind, data, passed) => this.#send(id, kind, data, passed),
      () => {
        this.#calls.delete(id);
        if (this.#retired && this.#calls.size === 0) this.#socket.end();
      },
    );
    this.#calls.set(id, call);
    if (this.#socket.destroyed) process.nextTick(() => call.lost());
    return call;
  }

  #send(id: number, kind: Kind, data: string | Buffer = '', passed?: () => void): void {
    if (this.#socket.destroyed) return;
    const length = Buffer.byteLength(data);
    const joined = typeof data === 'string' || length <= SMALL;
    const frame = Buffer.allocUnsafe(joined ? HEADER + length : HEADER);
    frame.writeUInt32BE(id, 0);
    frame[4] = kind;
    frame.writeUInt32BE(length, 5);
    gather(this.#socket);
    if (typeof data === 'string') frame.write(data, HEADER);
    else if (joined) data.copy(frame, HEADER);
    if (!joined) this.#socket.write(frame);
    this.#socket.write(joined ? frame : data, (error) => {
      if (!error) passed?.();
    });
  }

  /** Takes what has come. The chunk is not kept. */
  read(chunk: Buffer): void {
    for (let at = 0; at < chunk.length && !this.#socket.destroyed;) {
      if (this.#payload !== undefined) {
        const count = chunk.copy(this.#payload, this.#filled, at);
        at += count;
        this.#filled += count;
        if (this.#filled === this.#payload.length) this.#take(this.#payload);
        continue;
      }
      const count = chunk.copy(this.#header, this.#headed, at, at + HEADER - this.#headed);
      at += count;
      this.#headed += count;
      if (this.#headed < HEADER) return;
      const length = this.#header.readUInt32BE(5);
      if (!isFrame(this.#header.readUInt8(4), length)) {
        this.destroy();
      } else if (length <= chunk.length - at) {
        at += length;
        this.#take(Buffer.from(chunk.subarray(at - length, at)));
      } else {
        this.#payload = takeBuffer(length);
        this.#filled = 0;
      }
    }
  }

  /** A whole frame. One of a call that has ended here is late, and nobody's. */
  #take(payload: Buffer): void {
    this.#headed = 0;
    this.#payload = undefined;
    const id = this.#header.readUInt32BE(0);
    const kind = this.#header.readUInt8(4);
    if (kind !== KIND.open) {
      this.#calls.get(id)?.take(kind, payload);
    } else if (this.#accept !== undefined && !this.#retired && this.#calls.size < MAX_CALLS && !this.#calls.has(id)) {
      const call = this.#begin(id);
      call.accepted();
      this.#send(id, KIND.opened);
      this.#accept(call);
    } else {
      this.#send(id, KIND.gone);
    }
  }
}
