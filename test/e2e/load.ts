/** Load: callers that call again and again while something changes, each as soon as its call before has ended. */
import { until } from '../helpers/wait.ts';

/** One call, to its end. Throws if that is not what it must be. */
export type Caller = (turn: number) => Promise<void>;

/** By each caller, before a change and after it. */
const CALLS = 2;

/** Acts while they call, and waits for the ends of their last calls. Throws what the first caller throws. */
export async function underLoad(callers: Caller[], act: (load: Load) => Promise<void>): Promise<void> {
  const load = new Load(callers);
  try {
    await act(load);
  } finally {
    await load.stop();
  }
}

export class Load {
  readonly #loops: { begun: number; ended: number }[];
  readonly #all: Promise<unknown>;
  #going = true;
  #failure: Error | undefined;

  constructor(callers: Caller[]) {
    const loops = callers.map((call) => ({ call, begun: 0, ended: 0 }));
    this.#loops = loops;
    this.#all = Promise.allSettled(loops.map((loop) => this.#run(loop)));
  }

  /**
   * Changes something while each of them is in a call. Each has begun and ended calls before; then each ends the call in which the end of the change
   * finds it, and others that began after that.
   */
  async across<T>(change: () => T | Promise<T>): Promise<T> {
    await this.more(CALLS);
    await this.until('every caller is in a call', () => this.#loops.every(({ begun, ended }) => begun > ended));
    const changed = await change();
    await this.more(CALLS);
    return changed;
  }

  /** Waits until each has begun and ended so many calls from now on. */
  async more(count: number): Promise<void> {
    const wanted = this.#loops.map(({ begun }) => begun + count);
    await this.until(`${count} more calls by each`, () => this.#loops.every(({ ended }, index) => ended >= (wanted[index] ?? Infinity)));
  }

  /** Waits for something that calls bring about. */
  async until(what: string, probe: () => boolean): Promise<void> {
    await until(what, () => {
      if (this.#failure !== undefined) throw this.#failure;
      return probe();
    });
  }

  async stop(): Promise<void> {
    this.#going = false;
    await this.#all;
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #run(loop: { call: Caller; begun: number; ended: number }): Promise<void> {
    try {
      while (this.#going) {
        loop.begun += 1;
        await loop.call(loop.begun);
        loop.ended += 1;
      }
    } catch (error) {
      this.#failure ??= error instanceof Error ? error : new Error(String(error));
      this.#going = false;
    }
  }
}
