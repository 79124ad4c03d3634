/** A run that goes on: its state, its streams, and those who wait for them. */
import path from 'node:path';
import type { Stream, Terminal } from '../../protocol/records.ts';
import type { Totals } from '../keeper/digest.ts';
import type { EndOrder } from '../keeper/messages.ts';
import { OrderFile } from '../keeper/order-file.ts';
import { SpoolFile } from '../keeper/spool-file.ts';
import { readSpool, type RunView } from './view.ts';

export class Run implements RunView {
  readonly id: string;
  readonly token: string;
  /** Id of the key that began it. */
  readonly key: string;
  readonly onCallerLoss: 'finish' | 'kill';
  /** Of an event, whose output is ours. A script's is the keeper's. */
  readonly #files: Record<Stream, SpoolFile>;
  readonly #turns: OrderFile;
  /** Bytes that the keeper has put into the spool. */
  #kept: Record<Stream, number> = { stdout: 0, stderr: 0 };
  /** What it was in the end. */
  #totals: Totals | undefined;
  readonly #subscribers = new Set<() => void>();
  /** The script's stdout is an answer: callers get nothing of it before it was checked. */
  readonly #held: boolean;
  #reply: Buffer | null = null;
  #terminal: Terminal | undefined;
  #order: EndOrder | undefined;
  #obey: ((order: EndOrder) => void) | undefined;

  constructor(id: string, folder: string, origin: { token: string; key: string; onCallerLoss: 'finish' | 'kill'; held: boolean }) {
    this.id = id;
    this.token = origin.token;
    this.key = origin.key;
    this.onCallerLoss = origin.onCallerLoss;
    this.#held = origin.held;
    this.#files = { stdout: new SpoolFile(path.join(folder, 'stdout')), stderr: new SpoolFile(path.join(folder, 'stderr')) };
    this.#turns = new OrderFile(folder);
  }

  get terminal(): Terminal | undefined {
    return this.#terminal;
  }

  get readers(): number {
    return this.#subscribers.size;
  }

  /** Where the spool keeps what the script prints. */
  fileOf(stream: Stream): string {
    return this.#files[stream].file;
  }

  /** Bytes that the script has printed. */
  printed(stream: Stream): number {
    return this.#totals?.[stream].size ?? (this.#kept[stream] || this.#files[stream].length);
  }

  /** All of it, with digests. */
  get totals(): Totals {
    const { stdout, stderr } = this.#files;
    return this.#totals ?? { stdout: stdout.measured, stderr: stderr.measured, order: this.#turns.measured };
  }

  length(stream: Stream): number {
    if (stream === 'stderr' || !this.#held) return this.printed(stream);
    if (this.#terminal === undefined) return 0;
    return this.#reply?.length ?? this.printed(stream);
  }

  read(stream: Stream, position: number, max: number, into?: Buffer): Buffer {
    if (stream === 'stdout' && this.#reply !== null) return this.#reply.subarray(position, position + max);
    return readSpool(this.#files[stream].file, position, Math.min(max, this.length(stream) - position), into);
  }

  subscribe(callback: () => void): () => void {
    this.#subscribers.add(callback);
    return () => this.#subscribers.delete(callback);
  }

  append(stream: Stream, chunk: Buffer): void {
    this.#turns.note(stream, chunk.length);
    this.#files[stream].append(chunk);
    this.#tell();
  }

  /** The keeper has put more into the spool. */
  grew(lengths: Record<Stream, number>): void {
    this.#kept = lengths;
    this.#tell();
  }

  /** The script has ended, and everything that it printed is in the spool. */
  complete(totals: Totals): void {
    this.#totals = totals;
    this.#tell();
  }

  /** Ends the run before its time. Only the first order counts, and none after the end. */
  end(order: EndOrder): void {
    if (this.#terminal !== undefined || this.#order !== undefined) return;
    this.#order = order;
    this.#obey?.(order);
  }

  /** Who carries out an order to end; one that was given before is carried out at once. */
  obeyWith(obey: (order: EndOrder) => void): void {
    this.#obey = obey;
    if (this.#order !== undefined) obey(this.#order);
  }

  /** The last step: readers hear of the end. The journal knows it already. */
  settle(terminal: Terminal, reply: Buffer | null): void {
    this.#files.stdout.close();
    this.#files.stderr.close();
    this.#turns.close();
    this.#reply = reply;
    this.#terminal = terminal;
    this.#tell();
  }

  #tell(): void {
    for (const callback of this.#subscribers) callback();
  }
}
