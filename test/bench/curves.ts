/**
 * npm run bench:curves [-- --quick]: how time, rate and memory change with size. Writes a plot of each into test/bench/plots/, and prints its figures.
 * Every plot says which shape was expected before it was measured.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import type { TestAgent } from '../helpers/agent.ts';
import { residentBytes } from '../helpers/processes.ts';
import { addScripts, idleAgent, multiplyRuns } from './flatness.ts';
import { invocation, rateOf, type Call } from './load.ts';
import { drawPlot, type Plot } from './plot.ts';
import { prepareReleased } from './release.ts';
import { quantile } from './statistics.ts';
import { Workplace } from './workplace.ts';

const PLOTS = path.join(import.meta.dirname, 'plots');
const MIB = 1024 * 1024;
const PARTS = ['front', 'runner', 'keeper'] as const;
const MEMORY = 'Memory of front, runner and keeper';
const { values } = parseArgs({ options: { quick: { type: 'boolean' } } });
const quick = values.quick === true;

await using place = new Workplace();
mkdirSync(PLOTS, { recursive: true });
await concurrency();
await scripts();
await pastRuns();
await stdin();
await stdout();

/** A plot's points for one line each. */
type Lines = Record<string, [number, number][]>;

async function concurrency(): Promise<void> {
  const agent = await running({ limits: { concurrency: 512 } });
  const [times, rates, memory]: Lines[] = [{ p50: [], p99: [] }, { 'runs/s': [] }, { highest: [] }];
  for (const count of quick ? [1, 32, 500] : [1, 2, 4, 8, 16, 32, 64, 128, 256, 500]) {
    const taken: number[] = [];
    const highest = await highestWhile(agent, async () => {
      rates?.['runs/s']?.push([count, await rateOf(timed(invocation(agent, 'true'), taken), count, quick ? 2 : 6)]);
    });
    addTimes(times, count, taken);
    memory?.highest?.push([count, highest]);
  }
  await agent.close();
  const x = { label: 'calls at once', log: true };
  const waits = 'flat up to the number of cores, then linear: a call waits for those before it';
  write('concurrency-time', { title: 'Time of a call', expected: waits, x, y: { label: 'ms', log: true } }, times);
  const full = 'rises to what the cores can do, and stays there';
  write('concurrency-rate', { title: 'Runs a second', expected: full, x, y: { label: 'runs/s', log: false } }, rates);
  const each = 'linear with calls at once, well below 1 MiB each';
  write('concurrency-memory', { title: MEMORY, expected: each, x, y: { label: 'MiB', log: false } }, memory);
}

function scripts(): Promise<void> {
  const counts = quick ? [1, 1000] : [1, 10, 100, 1000, 10_000];
  return collection('scripts', 'scripts in the folder', counts, async (agent, count) => {
    addScripts(agent, count);
    await agent.start();
  });
}

function pastRuns(): Promise<void> {
  const counts = quick ? [1, 100_000] : [1, 1000, 10_000, 100_000, 1_000_000];
  return collection('past-runs', 'runs in the journal', counts, async (agent, count) => {
    await agent.start();
    await invocation(agent, 'true')();
    await agent.stop();
    if (count > 1) multiplyRuns(path.join(agent.state, 'journal.db'), count);
    await agent.start();
  });
}

/** A call to an agent that has much of something. */
async function collection(
  name: string,
  label: string,
  counts: number[],
  start: (agent: TestAgent, count: number) => Promise<void>,
): Promise<void> {
  const [times, memory]: Lines[] = [{ p50: [], p99: [] }, { highest: [] }];
  for (const count of counts) {
    const agent = await idleAgent(place);
    await start(agent, count);
    const call = invocation(agent, 'true');
    const taken: number[] = [];
    for (let round = 0; round < 30; round += 1) await call();
    const highest = await highestWhile(agent, async () => {
      for (let round = 0; round < (quick ? 60 : 300); round += 1) await timed(call, taken)();
    });
    addTimes(times, count, taken);
    memory?.highest?.push([count, highest]);
    await agent.stop();
  }
  const x = { label, log: true };
  write(`${name}-time`, { title: 'Time of a call', expected: 'flat', x, y: { label: 'ms', log: false } }, times);
  write(`${name}-memory`, { title: MEMORY, expected: 'flat', x, y: { label: 'MiB', log: false } }, memory);
}

async function stdin(): Promise<void> {
  const agent = await running({});
  agent.script('swallow', '#!/bin/sh\nexec cat >/dev/null\n');
  await sizes('stdin', agent, quick ? [0.001, 1, 16] : [0.001, 0.01, 0.1, 1, 4, 16, 64], (mebibytes) => {
    const data = Buffer.alloc(Math.round(mebibytes * MIB), 'x');
    return invocation(agent, 'swallow', { stdin: data });
  });
}

async function stdout(): Promise<void> {
  const agent = await running({ defaults: { 'output-limit': '2GiB' } });
  agent.script('print', '#!/bin/sh\nexec head -c "$1" /dev/zero\n');
  await sizes('stdout', agent, quick ? [0.001, 1, 64] : [0.001, 0.01, 0.1, 1, 10, 100, 1024], (mebibytes) =>
    invocation(agent, 'print', { args: [String(Math.round(mebibytes * MIB))] }),
  );
}

async function sizes(name: string, agent: TestAgent, list: number[], callOf: (mebibytes: number) => Call): Promise<void> {
  const [time, memory]: Lines[] = [{ p50: [] }, { highest: [] }];
  for (const mebibytes of list) {
    const call = callOf(mebibytes);
    await call();
    const taken: number[] = [];
    const highest = await highestWhile(agent, async () => {
      for (let round = 0; round < (mebibytes > 20 ? 3 : 15); round += 1) await timed(call, taken)();
    });
    time?.p50?.push([mebibytes, quantile(taken, 0.5)]);
    memory?.highest?.push([mebibytes, highest]);
  }
  await agent.close();
  const x = { label: `MiB of ${name}`, log: true };
  const bytes = 'flat as long as the call itself takes longer than its bytes, then linear';
  write(`${name}-time`, { title: 'Time of a call', expected: bytes, x, y: { label: 'ms', log: true } }, time);
  write(`${name}-memory`, { title: MEMORY, expected: 'flat: nothing is held', x, y: { label: 'MiB', log: false } }, memory);
}

async function running(settings: Record<string, unknown>): Promise<TestAgent> {
  const agent = await prepareReleased({ settings });
  await agent.start();
  return agent;
}

function timed(call: Call, times: number[]): Call {
  return async () => {
    const from = performance.now();
    await call();
    times.push(performance.now() - from);
  };
}

function addTimes(lines: Lines | undefined, at: number, taken: number[]): void {
  lines?.p50?.push([at, quantile(taken, 0.5)]);
  lines?.p99?.push([at, quantile(taken, 0.99)]);
}

/** The most memory that the agent had during the work, in MiB. */
async function highestWhile(agent: TestAgent, work: () => Promise<void>): Promise<number> {
  const pids = PARTS.map((part) => agent.part(part)).filter((pid) => pid !== undefined);
  const resident = (): number => pids.reduce((sum, pid) => sum + residentBytes(pid), 0);
  let highest = resident();
  const timer = setInterval(() => (highest = Math.max(highest, resident())), 20);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  return Math.max(highest, resident()) / MIB;
}

function write(name: string, plot: Omit<Plot, 'series'>, lines: Lines = {}): void {
  const series = Object.entries(lines).map(([label, points]) => ({ name: label, points }));
  writeFileSync(path.join(PLOTS, `${name}.svg`), drawPlot({ ...plot, series }));
  for (const { name: label, points } of series) {
    const figures = points.map(([x, y]) => `${Number(x.toPrecision(3))}: ${Number(y.toPrecision(3))}`);
    console.log(`${name}, ${label} in ${plot.y.label}: ${figures.join(', ')}`);
  }
}
