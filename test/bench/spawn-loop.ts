/** The yardstick for runs/s: `child_process.spawn` with pipes, so many at once, and nothing else. Prints runs/s of every turn that it is asked for by a line of seconds. */
import { createInterface } from 'node:readline';
import { rateOf, spawnTrue } from './load.ts';

const CONCURRENCY = Number(process.argv[2]);

for await (const seconds of createInterface({ input: process.stdin })) {
  console.log(await rateOf(spawnTrue, CONCURRENCY, Number(seconds)));
}
