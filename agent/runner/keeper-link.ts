/** The runner's end of the keeper's socket. Starts a keeper where none listens, and another one when it is gone. */
import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import type { Stream } from '../../protocol/records.ts';
import { Failure } from '../../protocol/failures.ts';
import { readLines, writeLine } from '../keeper/lines.ts';
import { crashPoint } from '../process/crash-point.ts';
import { KeeperMessage, type EndOrder, type Ended, type Kept, type RunnerMessage, type StartOrder } from '../keeper/messages.ts';

/** A keeper answers at once, unless somebody has stopped it. Milliseconds. */
const PATIENCE = 10_000;

/** What is heard of a run that goes on. */
export interface Watch {
  onStarted: (pid: number) => void;
  onOutput: (lengths: Record<Stream, number>) => void;
}

type Watched = Watch & { resolve: (ended: Ended | undefined) => void };

export class KeeperLink {
  readonly #socket: string;
  readonly #start: () => Promise<void>;
  readonly #watched = new Map<string, Watched>();
  #connection: Promise<Socket> | undefined;
  #kept: Kept[] = [];
  #closed = false;

  /**
   * @param socket where a keeper listens, or will
   * @param start starts one that does
   */
  constructor(socket: string, start: () => Promise<void>) {
    this.#socket = socket;
    this.#start = start;
  }

  /** Connects, and returns the runs that the keeper has from our predecessor. @throws Failure `internal` */
  async open(): Promise<Kept[]> {
    await this.#connected();
    return this.#kept;
  }

  /** Starts a script. Resolves with how it ended; undefined if the keeper went away before it could tell. @throws Failure `internal` if there is no keeper */
  async start(order: Omit<StartOrder, 'type'>, watch: Watch): Promise<Ended | undefined> {
    const connection = await this.#connected();
    const ended = this.#watch(order.run, watch);
    writeLine(connection, { type: 'start', ...order }, () => crashPoint('ordered'));
    return ended;
  }

  /** The same for a run that our predecessor started. */
  async resume({ run, ended }: Kept, watch: Watch): Promise<Ended | undefined> {
    return ended ?? this.#watch(run, watch);
  }

  end(run: string, order: EndOrder): void {
    this.#send({ type: 'end', run, order });
  }

  /** The end of the run is in the journal. */
  settled(run: string): void {
    this.#send({ type: 'settled', run });
  }

  /** The keeper ends, unless a script goes on. Resolves when it has let go of us. */
  async close(): Promise<void> {
    this.#closed = true;
    const connection = await this.#connection?.catch(() => undefined);
    if (connection === undefined || connection.destroyed) return;
    await new Promise((resolve) => connection.end().once('close', resolve)); // events.once would fail on an error, of which 'close' is all that matters
  }

  #watch(run: string, watch: Watch): Promise<Ended | undefined> {
    return new Promise((resolve) => this.#watched.set(run, { ...watch, resolve }));
  }

  #send(message: RunnerMessage): void {
    this.#connection?.then(
      (connection) => writeLine(connection, message),
      () => undefined, // without a keeper there is nothing to end and nothing to forget
    );
  }

  #connected(): Promise<Socket> {
    if (this.#closed) throw new Failure('internal', 'the runner has let go of its keeper');
    this.#connection ??= this.#connect().catch((error: unknown) => {
      this.#connection = undefined;
      throw error;
    });
    return this.#connection;
  }

  async #connect(): Promise<Socket> {
    const found = await this.#greet();
    if (found !== undefined) return found;
    await this.#start();
    const started = await this.#greet();
    if (started !== undefined) return started;
    throw new Failure('internal', `the keeper does not answer on ${this.#socket}; end the process of that name if there is one`);
  }

  /** Undefined if nobody listens, or somebody who was about to leave. */
  async #greet(): Promise<Socket | undefined> {
    const socket = connect(this.#socket);
    try {
      await once(socket, 'connect', { signal: AbortSignal.timeout(PATIENCE) });
    } catch {
      socket.destroy();
      return undefined;
    }
    let greeting = true;
    const greeted = new Promise<boolean>((resolve) => {
      const impatient = setTimeout(() => socket.destroy(), PATIENCE);
      socket.on('error', () => undefined); // 'close' follows
      socket.once('close', () => {
        clearTimeout(impatient);
        if (!greeting) this.#forget(); // otherwise it was never our connection, and another one may be on its way
        resolve(false);
      });
      readLines(socket, KeeperMessage, (message) => {
        clearTimeout(impatient);
        if (message.type === 'kept') {
          greeting = false;
          this.#kept = message.runs;
          resolve(true);
        } else this.#hear(message);
      });
    });
    writeLine(socket, { type: 'hello' });
    return (await greeted) ? socket : undefined;
  }

  #hear(message: Exclude<KeeperMessage, { type: 'kept' }>): void {
    const watched = this.#watched.get(message.run);
    if (message.type === 'started') watched?.onStarted(message.pid);
    else if (message.type === 'output') watched?.onOutput(message.lengths);
    else {
      this.#watched.delete(message.run);
      watched?.resolve(message.ended);
    }
  }

  /** The keeper is gone, and nobody will tell any more. */
  #forget(): void {
    this.#connection = undefined;
    for (const { resolve } of this.#watched.values()) resolve(undefined); // who waits hears of it in a later turn
    this.#watched.clear();
  }
}
