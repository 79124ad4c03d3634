/**
 * Real pipes for the stdio of scripts. Node cannot make any: its own are socket pairs, on which a script's `echo x >/dev/stderr` fails with
 * ENXIO; and a FIFO blocks for ever who opens /dev/stdin after all of it was written. So bash makes them, in batches ahead of their use
 * (5 ms for 96), and we take them over through /proc.
 */
import { spawn } from 'node:child_process';
import { closeSync, constants, openSync } from 'node:fs';
import { Failure } from '../../protocol/failures.ts';

const BATCH = 96;
/** Prints the numbers of descriptors that are a new pipe each. A here-string is one from bash 5.1 on; before, it takes a fork. */
const MAKE = `
for ((i = 0; i < $1; i++)); do
  exec {fd}<<<''
  if [[ -p /dev/fd/$fd ]]; then
    read -r -u "$fd"
  else
    exec {fd}<&- {fd}<> <(:)
  fi
  made+="$fd "
done
echo "$made"
read -r || :`;

/** Both ends of a pipe, as descriptors. */
export interface Pipe {
  read: number;
  write: number;
}

export class Pipes {
  readonly #onHelper: (pid: number) => void;
  /** Descriptors, each of them both ends of a pipe. */
  readonly #ready: number[] = [];
  #refill: Promise<void> | undefined;

  /** @param onHelper is told of every process that we start */
  constructor(onHelper: (pid: number) => void = () => undefined) {
    this.#onHelper = onHelper;
  }

  /** A pipe whose write end blocks, and whose read end does not: for a script's output. */
  outward(): Promise<Pipe> {
    return this.#take(constants.O_NONBLOCK, 0);
  }

  /** A pipe whose read end blocks, and whose write end does not: for a script's stdin. */
  inward(): Promise<Pipe> {
    return this.#take(0, constants.O_NONBLOCK);
  }

  async #take(readFlags: number, writeFlags: number): Promise<Pipe> {
    let both = this.#ready.pop();
    for (; both === undefined; both = this.#ready.pop()) await this.fill();
    if (this.#ready.length < BATCH / 2) this.fill().catch(() => undefined); // the next one to take from an empty stock hears of it
    return split(both, readFlags, writeFlags);
  }

  /** Makes sure that some are in stock. @throws Failure `internal` if bash cannot make them */
  fill(): Promise<void> {
    this.#refill ??= this.#make().finally(() => (this.#refill = undefined));
    return this.#refill;
  }

  /** Resolves when bash has ended: as long as it lives, it is one more who reads and writes. */
  #make(): Promise<void> {
    return new Promise((resolve, reject) => {
      const maker = spawn('bash', ['-c', MAKE, 'pipes', String(BATCH)], { stdio: ['pipe', 'pipe', 'ignore'] });
      if (maker.pid !== undefined) this.#onHelper(maker.pid);
      const made: number[] = [];
      let line = '';
      let problem: unknown;
      const fail = (cause: unknown): void => reject(new Failure('internal', 'bash could not make pipes for the scripts', { cause }));
      maker.once('error', fail);
      maker.once('exit', (code) => {
        this.#ready.push(...made);
        if (code === 0 && line.endsWith('\n') && problem === undefined) resolve();
        else fail(problem);
      });
      maker.stdin.on('error', () => undefined); // it has gone already: 'exit' says so
      maker.stdout.setEncoding('latin1').on('data', (chunk: string) => {
        line += chunk;
        if (!line.endsWith('\n')) return;
        try {
          for (const fd of line.trim().split(' ')) made.push(openSync(`/proc/${maker.pid ?? 0}/fd/${fd}`, constants.O_RDWR));
        } catch (error) {
          problem = error;
        }
        maker.stdin.end();
      });
    });
  }
}

/** Each end gets an open file of its own, because that is what blocks or does not. */
function split(both: number, readFlags: number, writeFlags: number): Pipe {
  const file = `/proc/self/fd/${both}`;
  try {
    const read = openSync(file, constants.O_RDONLY | readFlags);
    try {
      return { read, write: openSync(file, constants.O_WRONLY | writeFlags) };
    } catch (error) {
      closeSync(read);
      throw error;
    }
  } finally {
    closeSync(both);
  }
}
