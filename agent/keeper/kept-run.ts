/** A run as the keeper has it: what it was told, how far its output is in the spool, and how it ended. */
import path from 'node:path';
import type { Stream } from '../../protocol/records.ts';
import { patternsOf } from './masking.ts';
import { MasksFile } from './masks-file.ts';
import type { EndOrder, Ended, Kept, StartOrder } from './messages.ts';
import { OrderFile } from './order-file.ts';
import { SpoolFile } from './spool-file.ts';

export class KeptRun {
  readonly id: string;
  readonly folder: string;
  readonly memo: string;
  readonly #files: Record<Stream, SpoolFile>;
  readonly #masks: MasksFile | undefined;
  readonly #order: OrderFile;
  readonly #onGrowth: () => void;
  #endOrder: EndOrder | undefined;
  #obey: ((order: EndOrder) => void) | undefined;
  #ended: Ended | null = null;

  /** @param onGrowth is called after every piece of output that is in the spool */
  constructor({ run, folder, memo, env, secrets }: StartOrder, onGrowth: () => void) {
    this.id = run;
    this.folder = folder;
    this.memo = memo;
    this.#onGrowth = onGrowth;
    const patterns = patternsOf(secrets.flatMap((name) => env[name] ?? []));
    this.#masks = patterns.length === 0 ? undefined : new MasksFile(folder, patterns);
    this.#order = new OrderFile(folder);
    this.#files = { stdout: new SpoolFile(path.join(folder, 'stdout')), stderr: new SpoolFile(path.join(folder, 'stderr')) };
  }

  get lengths(): Record<Stream, number> {
    return { stdout: this.#files.stdout.length, stderr: this.#files.stderr.length };
  }

  get ended(): Ended | null {
    return this.#ended;
  }

  get kept(): Kept {
    return { run: this.id, memo: this.memo, lengths: this.lengths, ended: this.#ended };
  }

  /** @throws Failure `spool-full` */
  append(stream: Stream, chunk: Buffer): void {
    this.#masks?.open();
    this.#order.note(stream, chunk.length);
    this.#files[stream].append(chunk);
    this.#masks?.note(stream, chunk);
    this.#onGrowth();
  }

  /** Ends the run before its time. Only the first order counts, and none after the end. */
  end(order: EndOrder): void {
    if (this.#ended !== null || this.#endOrder !== undefined) return;
    this.#endOrder = order;
    this.#obey?.(order);
  }

  /** Who carries out an order to end; one that was given before is carried out at once. */
  obeyWith(obey: (order: EndOrder) => void): void {
    this.#obey = obey;
    if (this.#endOrder !== undefined) obey(this.#endOrder);
  }

  settle(ending: Omit<Ended, 'totals'>): Ended {
    const { stdout, stderr } = this.#files;
    stdout.close();
    stderr.close();
    this.#order.close();
    this.#masks?.close(this.lengths);
    return (this.#ended = { ...ending, totals: { stdout: stdout.measured, stderr: stderr.measured, order: this.#order.measured } });
  }
}
