/** Who may start now: slots for the agent and for each script, one at a time for what is serialized, and a bounded queue for the rest, in which the keys take turns. */
import { Failure } from '../../protocol/failures.ts';

export interface Job {
  script: string;
  /** Who calls. Keys take turns; the jobs of one start in the order of their arrival. */
  key: string;
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
  /** When a key's job left the queue last, as a count of those that left it; forgotten when nobody runs or waits. */
  readonly #turns = new Map<string, number>();
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

  /** A job that runs already, whatever the limits say by now: it takes its slot. */
  join(job: Job): void {
    this.#start(job);
  }

  #startWhatMay(): void {
    while (this.#running < this.#concurrency) {
      const job = this.#next();
      if (job === undefined) break;
      this.#queue.splice(this.#queue.indexOf(job), 1);
      this.#turns.set(job.key, Math.max(0, ...this.#turns.values()) + 1);
      this.#start(job);
    }
    if (this.#running + this.#queue.length === 0) this.#turns.clear();
  }

  /** Of all keys that have a job which may start, the one whose turn was longest ago; and of that one, the oldest such job. */
  #next(): Job | undefined {
    const passed = new Set<string>();
    const seen = new Set<string>();
    let next: Job | undefined;
    const turnOf = ({ key }: Job): number => this.#turns.get(key) ?? 0;
    for (const job of this.#queue) {
      if (!seen.has(job.key) && this.#mayStart(job, passed)) {
        seen.add(job.key);
        if (next === undefined || turnOf(job) < turnOf(next)) next = job;
      }
      if (job.serial !== undefined) passed.add(job.serial); // whoever comes later, of whatever key, comes after it
    }
    return next;
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

/**
 * How long a job may wait if its caller waits for so long, in milliseconds: a tenth less, and at least a second, so that the caller still hears
 * of it; but half the time of one that is in a hurry.
 */
export function queuePatience(patience: number): number {
  return patience - Math.min(patience / 2, Math.max(1000, patience / 10));
}
