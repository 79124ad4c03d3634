/** Copies a run's streams to one connection, from where the reader is to the end: at once while output is slow, in few large messages while it is fast. */
import type { Accept } from '../../protocol/messages.ts';
import { encodeNotice, encodeOutput, encodeTerminal, type Terminal } from '../../protocol/records.ts';
import type { Turn, Turns } from '../keeper/order-file.ts';
import type { Connection } from '../wire/connection.ts';
import { CHUNK, LARGE, giveBuffer, takeBuffer } from '../wire/large-buffers.ts';
import type { RunView } from './view.ts';

/** Output that follows within this time is sent together, in milliseconds: a fifth of what a person notices. */
const GATHER = 5;
/** Reads before others get their turn on the event loop: streams that alternate come in many small ones. */
const READS = 256;
/** One for all readers: what is read is copied into messages before anything else is read. Garbage of this size is what costs most (docs/decisions.md). */
const BUFFER = Buffer.allocUnsafeSlow(LARGE);
/** Readers that have a message of more than a chunk on the way to their stub, and how many may: the rest of all messages is what readers that do not read can hold. */
const withLarge = new Set<Reader>();
const LARGE_AT_ONCE = 8;

export interface Position {
  stdout: number;
  stderr: number;
}

export class Reader {
  readonly #connection: Connection;
  readonly #view: RunView;
  readonly #accept: Accept;
  readonly #position: Position;
  readonly #turns: Turns | undefined;
  readonly #onEnd: (error?: unknown) => void;
  #unsubscribe = (): void => undefined;
  #gathering: NodeJS.Timeout | undefined;
  #lastSent = -Infinity;
  #waiting = false;
  #stopped = false;

  /** @param onEnd called once, after the terminal record was sent, or with the error that keeps it from being sent */
  constructor(connection: Connection, view: RunView, accept: Accept, position: Position, onEnd: (error?: unknown) => void) {
    this.#connection = connection;
    this.#view = view;
    this.#accept = accept;
    this.#position = { ...position };
    this.#turns = view.turns?.();
    this.#onEnd = onEnd;
  }

  /** Sends what there is, and from then on whatever comes. */
  start(): void {
    this.#unsubscribe = this.#view.subscribe(() => {
      this.#advance();
    });
    this.#advance();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#gathering);
    withLarge.delete(this);
    this.#unsubscribe();
  }

  #advance(): void {
    if (this.#stopped || this.#waiting) return;
    const pause = this.#view.terminal === undefined ? this.#lastSent + GATHER - performance.now() : 0;
    if (pause <= 0) this.#send();
    else this.#gathering ??= setTimeout(() => this.#send(), pause);
  }

  #send(): void {
    clearTimeout(this.#gathering);
    this.#gathering = undefined;
    if (this.#stopped || this.#waiting) return;
    try {
      this.#sendAll();
    } catch (error) {
      // The spool cannot be read. This reader hears of it; the run, its other readers and the timers that call us do not.
      this.stop();
      this.#onEnd(error);
    }
    this.#lastSent = performance.now();
  }

  #sendAll(): void {
    let reads = 0;
    while (reads < READS && this.#connection.open && !this.#connection.congested && this.#sendSome()) reads += 1;
    const terminal = this.#pending() === undefined ? this.#view.terminal : undefined;
    if (terminal !== undefined) this.#end(terminal);
    else if (this.#connection.congested) this.#wait((go) => this.#connection.onceDrained(go));
    else if (reads === READS) this.#wait(setImmediate);
  }

  #wait(until: (go: () => void) => void): void {
    this.#waiting = true;
    until(() => {
      this.#waiting = false;
      withLarge.delete(this);
      this.#send();
    });
  }

  #end(terminal: Terminal): void {
    if (terminal.outcome === 'exited' && terminal.message !== '') this.#connection.send(encodeNotice(terminal.message));
    this.#connection.send(encodeTerminal(terminal));
    this.stop();
    this.#onEnd();
  }

  #sendSome(): boolean {
    const turn = this.#pending();
    if (turn === undefined) return false;
    const { stream, end } = turn;
    const data = this.#view.read(
      stream,
      this.#position[stream],
      Math.min(this.#most, this.#accept.frame - 1, end - this.#position[stream]),
      BUFFER,
    );
    if (data.length === 0) throw new Error(`the spool of run ${this.#view.id} is shorter than the journal says`);
    if (data.length > CHUNK) withLarge.add(this);
    for (const message of encodeOutput(stream, data, this.#accept, takeBuffer)) this.#connection.send(message, () => giveBuffer(message));
    this.#position[stream] += data.length;
    return true;
  }

  /** Bytes of the next message. */
  get #most(): number {
    return withLarge.size < LARGE_AT_ONCE ? LARGE : CHUNK;
  }

  /** What is to be sent next. To callers stderr first, because it is short and explains. */
  #pending(): Turn | undefined {
    const ended = this.#view.terminal !== undefined;
    const lengths = { stdout: this.#view.length('stdout'), stderr: this.#view.length('stderr') };
    if (this.#turns !== undefined) return this.#turns.next(this.#position, lengths, ended);
    const stream = (['stderr', 'stdout'] as const).find((name) => this.#position[name] < lengths[name]);
    return stream === undefined ? undefined : { stream, end: lengths[stream] };
  }
}
