/**
 * `node test/bench/starts.ts [ROUNDS]`: what it takes to start a script. Starts of /bin/true, 32 at once, through the keeper and by a bare `spawn` in
 * this process, in turns: how many a second, and for how long this event loop stood still (p50 and p99 of a timer of 1 ms).
 */
import { mkdirSync, rmSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { linkToKeeper } from '../helpers/keeper.ts';
import { newFolder } from '../helpers/folder.ts';
import type { KeeperLink } from '../../agent/runner/keeper-link.ts';
import { rateOf, spawnTrue, type Call } from './load.ts';
import { median } from './statistics.ts';

const CONCURRENCY = 32;
const SECONDS = 2;
const ROUNDS = Number(process.argv[2] ?? 5);

const folder = newFolder();
const keeper = linkToKeeper(folder);
await keeper.open();
const turns: Record<string, Call> = { keeper: throughKeeper(keeper, folder), spawn: spawnTrue };
const taken: Record<string, { rate: number; p50: number; p99: number }[]> = { keeper: [], spawn: [] };
for (const call of Object.values(turns)) await rateOf(call, CONCURRENCY, 1); // warm
for (let round = 0; round < ROUNDS; round += 1) {
  for (const [name, call] of Object.entries(turns)) taken[name]?.push(await measure(call));
}
await keeper.close();
rmSync(folder, { recursive: true });

for (const [name, results] of Object.entries(taken)) {
  const middle = (of: 'rate' | 'p50' | 'p99', digits: number): string => median(results.map((result) => result[of])).toFixed(digits);
  console.log(
    `${name.padEnd(8)} ${middle('rate', 0)} starts/s, event loop delayed by ${middle('p50', 1)} ms (p50), ${middle('p99', 1)} ms (p99)`,
  );
}
const ratios = (taken.keeper ?? []).map(({ rate }, round) => rate / (taken.spawn?.[round]?.rate ?? Infinity));
console.log(`keeper ÷ spawn: ${median(ratios).toFixed(2)} (${ratios.map((ratio) => ratio.toFixed(2)).join(' ')})`);

async function measure(call: Call): Promise<{ rate: number; p50: number; p99: number }> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const rate = await rateOf(call, CONCURRENCY, SECONDS);
  delay.disable();
  return { rate, p50: delay.percentile(50) / 1e6, p99: delay.percentile(99) / 1e6 };
}

function throughKeeper(link: KeeperLink, spool: string): Call {
  let count = 0;
  return async () => {
    const run = `run-${(count += 1)}`;
    const mark = `MEDIATOR_RUN=${run}`;
    const order = {
      run,
      folder: `${spool}/${run}`,
      program: '/bin/true',
      args: [],
      cwd: '/',
      env: { MEDIATOR_RUN: run },
      secrets: [],
      stdin: null,
      mark,
    };
    mkdirSync(order.folder);
    const watch = { onStarted: () => undefined, onOutput: () => undefined };
    const ended = await link.start({ ...order, timeout: 60_000, grace: 1000, limits: {}, outputLimit: 1, memo: '' }, watch);
    if (ended?.code !== 0) throw new Error(`a start ended with ${ended?.code}: ${ended?.message}`);
    link.settled(run);
  };
}
