/** The yardstick for runs/s: `child_process.spawn` with pipes, so many at once, and nothing else. Prints runs/s of every turn that it is asked for by a line of seconds. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { rateOf } from './load.ts';

const CONCURRENCY = Number(process.argv[2]);

for await (const seconds of createInterface({ input: process.stdin })) {
  console.log(await rateOf(spawnTrue, CONCURRENCY, Number(seconds)));
}

function spawnTrue(): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('/bin/true', { stdio: 'pipe' });
    child.stdin.end();
    child.stdout.resume();
    child.stderr.resume();
    child.once('error', reject);
    child.once('close', () => {
      resolve();
    });
  });
}
