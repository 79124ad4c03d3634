/** Who may start now: slots for the agent and for each script, one at a time for what is serialized, and a bounded queue for the rest. */
import { Failure } from '../../protocol/failures.ts';

export interface Job {
  script: string;
  /** How many of this script may run at once. */
  scriptLimit: number;
  /** Jobs with the same text here run one after another, in the order of their arrival. */
  serial: string | undefined;
  /** Runs the job; the slot is free again when the promise settles, which must never reject. */
  run: () => Promise<void>;
}

export class Admission {
  readonly #concurrency: number;
  readonly #queueLimit: number;
  readonly #queue: Job[] = [];
  readonly #perScript = new Map<string, number>();
  readonly #serials = new Set<string>();
  #running = 0;

  constructor(limits: { concurrency: number; queue: number }) {
    this.#concurrency = limits.concurrency;
    this.#queueLimit = limits.queue;
  }

  get running(): number {
    return this.#running;
  }

  get queued(): number {
    return this.#queue.length;
  }

  /** Refuses a job that would have to wait in a queue that is full, before anything is written. @throws Failure `busy` */
  checkRoom(job: Omit<Job, 'run'>): void {
    const waiting = new Set(this.#queue.flatMap(({ serial }) => serial ?? []));
    const atOnce = this.#running < this.#concurrency && this.#mayStart(job, waiting);
    if (atOnce || this.#queue.length < this.#queueLimit) return;
    throw new Failure('busy', `${this.#running} runs are going on and ${this.#queue.length} are waiting; try again later`);
  }

  /** Starts the job now or as soon as it may. The returned function takes it out of the queue and tells whether it was still there. */
  submit(job: Job): () => boolean {
    this.#queue.push(job);
    this.#startWhatMay();
    return () => {
      const index = this.#queue.indexOf(job);
      if (index >= 0) this.#queue.splice(index, 1);
      return index >= 0;
    };
  }

  #startWhatMay(): void {
    const passed = new Set<string>();
    for (let index = 0; index < this.#queue.length && this.#running < this.#concurrency;) {
      const job = this.#queue[index];
      if (job !== undefined && this.#mayStart(job, passed)) {
        this.#queue.splice(index, 1);
        this.#start(job);
      } else {
        if (job?.serial !== undefined) passed.add(job.serial);
        index += 1;
      }
    }
  }

  #mayStart({ script, scriptLimit, serial }: Omit<Job, 'run'>, passed: Set<string>): boolean {
    if (serial !== undefined && (this.#serials.has(serial) || passed.has(serial))) return false;
    return (this.#perScript.get(script) ?? 0) < scriptLimit;
  }

  #start(job: Job): void {
    this.#occupy(job, 1);
    void job.run().finally(() => {
      this.#occupy(job, -1);
      this.#startWhatMay();
    });
  }

  #occupy({ script, serial }: Job, change: 1 | -1): void {
    this.#running += change;
    const count = (this.#perScript.get(script) ?? 0) + change;
    if (count === 0) this.#perScript.delete(script);
    else this.#perScript.set(script, count);
    if (serial === undefined) return;
    if (change === 1) this.#serials.add(serial);
    else this.#serials.delete(serial);
  }
}
