/** One conversation of a link. Backpressure is its own: the other end says how much it has passed on, so that one slow reader holds up nobody else. */
import { CLOSE, HIGH_WATER, type Connection } from './connection.ts';
import { KIND, closeOf, creditOf, type Kind } from './link-frames.ts';

/** Credit is given in pieces of at least so many bytes: none at all for a short conversation. */
const CREDIT = HIGH_WATER / 4;
const LOST = 1006;

type State = 'opening' | 'open' | 'closing' | 'closed';

export class LinkedConnection implements Connection {
  readonly #send: (kind: Kind, data?: string | Buffer, passed?: () => void) => void;
  readonly #ended: () => void;
  #state: State = 'opening';
  #onTaken: (taken: boolean) => void = () => undefined;
  #onMessage: ((data: Buffer, binary: boolean) => void) | undefined;
  readonly #onClose: ((code: number) => void)[] = [];
  /** What came before anybody wanted to hear it, or while we were paused. */
  readonly #held: { kind: number; payload: Buffer }[] = [];
  #paused = false;
  #closedWith: number | undefined;
  /** Bytes that the other end has not passed on yet. */
  #unpassed = 0;
  /** Bytes that we have passed on, and given no credit for. */
  #passed = 0;
  readonly #drainWaiters: (() => void)[] = [];

  /** @param ended is called once, when no frame of this conversation is due any more */
  constructor(send: (kind: Kind, data?: string | Buffer, passed?: () => void) => void, ended: () => void) {
    this.#send = send;
    this.#ended = ended;
  }

  get open(): boolean {
    return this.#state === 'open';
  }

  get congested(): boolean {
    return this.#unpassed > HIGH_WATER;
  }

  /** Resolves with this conversation as soon as the other end has taken it. */
  taken(patience: number): Promise<Connection | undefined> {
    return new Promise((resolve) => {
      const impatient = setTimeout(() => this.destroy(), patience);
      this.#onTaken = (taken) => {
        clearTimeout(impatient);
        resolve(taken ? this : undefined);
      };
    });
  }

  /** A frame has arrived. */
  take(kind: number, payload: Buffer): void {
    if (kind === KIND.opened) {
      this.accepted();
      this.#onTaken(true);
    } else if (kind === KIND.credit) this.#drain(payload.readUInt32BE());
    else if (kind === KIND.gone) this.lost();
    else if (this.#held.length > 0 || this.#paused || this.#onMessage === undefined) this.#held.push({ kind, payload });
    else this.#deliver(kind, payload);
  }

  /** Both ends know of it. */
  accepted(): void {
    if (this.#state === 'opening') this.#state = 'open';
  }

  /** Nothing comes any more. */
  lost(): void {
    if (this.#state !== 'closed') this.#end(LOST);
  }

  onMessage(handler: (data: Buffer, binary: boolean) => void): void {
    this.#onMessage = handler;
    this.#deliverHeld();
  }

  onClose(handler: (code: number) => void): void {
    const code = this.#closedWith;
    if (code === undefined) this.#onClose.push(handler);
    else process.nextTick(() => handler(code));
  }

  send(data: string | Buffer, passed?: () => void): void {
    if (!this.open) return;
    this.#unpassed += Buffer.byteLength(data);
    this.#send(typeof data === 'string' ? KIND.text : KIND.binary, data, passed);
  }

  onceDrained(callback: () => void): void {
    this.#drainWaiters.push(callback);
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#deliverHeld();
  }

  close(code: number): void {
    if (!this.open) return;
    this.#state = 'closing';
    this.#send(KIND.close, closeOf(code));
  }

  destroy(): void {
    if (this.#state === 'closed') return;
    this.#send(KIND.gone);
    this.#end(LOST);
  }

  #deliverHeld(): void {
    for (let next = this.#held[0]; next !== undefined && !this.#paused && this.#onMessage !== undefined; next = this.#held[0]) {
      this.#held.shift();
      this.#deliver(next.kind, next.payload);
    }
  }

  #deliver(kind: number, payload: Buffer): void {
    if (kind === KIND.close) {
      if (this.open) this.#send(KIND.close, closeOf(CLOSE.normal));
      if (this.#state !== 'closed') this.#end(payload.readUInt16BE());
      return;
    }
    this.#onMessage?.(payload, kind === KIND.binary);
    this.#passed += payload.length;
    if (this.#passed < CREDIT || this.#state === 'closed') return;
    this.#send(KIND.credit, creditOf(this.#passed));
    this.#passed = 0;
  }

  #drain(bytes: number): void {
    this.#unpassed -= bytes;
    if (this.#unpassed > HIGH_WATER / 2) return;
    for (const callback of this.#drainWaiters.splice(0)) callback();
  }

  #end(code: number): void {
    this.#state = 'closed';
    this.#closedWith = code;
    this.#ended();
    this.#onTaken(false);
    for (const handler of this.#onClose.splice(0)) handler(code);
  }
}
