/**
 * npm run bench:curves [-- --quick]: how time, rate and memory change with size. Writes a plot and its figures for each into test/bench/plots/.
 * Every curve says beforehand which shape it should have.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { prepareAgent, type TestAgent } from '../helpers/agent.ts';
import { residentBytes } from '../helpers/processes.ts';
import { addScripts, idleAgent, multiplyRuns } from './flatness.ts';
import { invocation, rateOf, type Call } from './load.ts';
import { drawPlot, type Plot, type Series } from './plot.ts';
import { quantile } from './statistics.ts';
import { Workplace } from './workplace.ts';

const PLOTS = path.join(import.meta.dirname, 'plots');
const MIB = 1024 * 1024;
const { values } = parseArgs({ options: { quick: { type: 'boolean' } } });
const quick = values.quick === true;

await using place = new Workplace();
mkdirSync(PLOTS, { recursive: true });
await concurrency();
await scripts();
await pastRuns();
await stdin();
await stdout();

/** Expected: the rate rises to what the cores can do and stays there; from then on a call waits in proportion to how many there are. */
async function concurrency(): Promise<void> {
  const agent = await running({ limits: { concurrency: 512 } });
  const [p50, p99, rates]: [number, number][][] = [[], [], []];
  for (const count of quick ? [1, 32, 500] : [1, 2, 4, 8, 16, 32, 64, 128, 256, 500]) {
    const times: number[] = [];
    const rate = await rateOf(timed(invocation(agent, 'true'), times), count, quick ? 2 : 8);
    p50?.push([count, quantile(times, 0.5)]);
    p99?.push([count, quantile(times, 0.99)]);
    rates?.push([count, rate]);
  }
  await agent.close();
  const x = { label: 'calls at once', log: true };
  write('concurrency-time', { title: 'Time of a call', x, y: { label: 'ms', log: true }, series: named({ p50, p99 }) });
  write('concurrency-rate', { title: 'Runs a second', x, y: { label: 'runs/s', log: false }, series: named({ 'runs/s': rates }) });
}

/** Expected: flat. */
async function scripts(): Promise<void> {
  const [p50, p99]: [number, number][][] = [[], []];
  for (const count of quick ? [1, 1000] : [1, 10, 100, 1000, 10_000]) {
    const agent = await idleAgent(place);
    addScripts(agent, count);
    await agent.start();
    await sample(agent, count, { p50, p99 });
    await agent.stop();
  }
  const x = { label: 'scripts in the folder', log: true };
  write('scripts', { title: 'Time of a call', x, y: { label: 'ms', log: false }, series: named({ p50, p99 }) });
}

/** Expected: flat. */
async function pastRuns(): Promise<void> {
  const [p50, p99]: [number, number][][] = [[], []];
  for (const count of quick ? [1, 100_000] : [1, 1000, 10_000, 100_000, 1_000_000]) {
    const agent = await idleAgent(place);
    await agent.start();
    await invocation(agent, 'true')();
    await agent.stop();
    if (count > 1) multiplyRuns(path.join(agent.state, 'journal.db'), count);
    await agent.start();
    await sample(agent, count, { p50, p99 });
    await agent.stop();
  }
  const x = { label: 'runs in the journal', log: true };
  write('past-runs', { title: 'Time of a call', x, y: { label: 'ms', log: false }, series: named({ p50, p99 }) });
}

/** Expected: flat while a call's own cost prevails, then linear; memory flat. */
async function stdin(): Promise<void> {
  const agent = await running({});
  agent.script('swallow', '#!/bin/sh\nexec cat >/dev/null\n');
  await sizes('stdin', agent, quick ? [0.001, 1, 16] : [0.001, 0.01, 0.1, 1, 4, 16, 64], (mebibytes) => {
    const data = Buffer.alloc(Math.round(mebibytes * MIB), 'x');
    return invocation(agent, 'swallow', { stdin: data });
  });
}

/** Expected: flat while a call's own cost prevails, then linear; memory flat. */
async function stdout(): Promise<void> {
  const agent = await running({ defaults: { 'output-limit': '2GiB' } });
  agent.script('print', '#!/bin/sh\nexec head -c "$1" /dev/zero\n');
  await sizes('stdout', agent, quick ? [0.001, 1, 64] : [0.001, 0.01, 0.1, 1, 10, 100, 1024], (mebibytes) =>
    invocation(agent, 'print', { args: [String(Math.round(mebibytes * MIB))] }),
  );
}

async function sizes(name: string, agent: TestAgent, list: number[], callOf: (mebibytes: number) => Call): Promise<void> {
  const [time, memory]: [number, number][][] = [[], []];
  for (const mebibytes of list) {
    const call = callOf(mebibytes);
    await call();
    const before = resident(agent);
    let highest = before;
    const timer = setInterval(() => (highest = Math.max(highest, resident(agent))), 20);
    const times: number[] = [];
    for (let round = 0; round < (mebibytes > 20 ? 3 : 15); round += 1) await timed(call, times)();
    clearInterval(timer);
    time?.push([mebibytes, quantile(times, 0.5)]);
    memory?.push([mebibytes, Math.max(highest - before, 0) / MIB]);
  }
  await agent.close();
  const x = { label: `MiB of ${name}`, log: true };
  write(`${name}-time`, { title: 'Time of a call', x, y: { label: 'ms', log: true }, series: named({ p50: time }) });
  write(`${name}-memory`, { title: 'Growth of front and runner', x, y: { label: 'MiB', log: false }, series: named({ growth: memory }) });
}

async function running(settings: Record<string, unknown>): Promise<TestAgent> {
  const agent = await prepareAgent({ settings });
  agent.script('true', '#!/bin/true\n');
  await agent.start();
  return agent;
}

async function sample(
  agent: TestAgent,
  at: number,
  { p50, p99 }: { p50: [number, number][] | undefined; p99: [number, number][] | undefined },
): Promise<void> {
  const times: number[] = [];
  const call = invocation(agent, 'true');
  for (let round = 0; round < 30; round += 1) await call();
  for (let round = 0; round < (quick ? 60 : 300); round += 1) await timed(call, times)();
  p50?.push([at, quantile(times, 0.5)]);
  p99?.push([at, quantile(times, 0.99)]);
}

function timed(call: Call, times: number[]): Call {
  return async () => {
    const from = performance.now();
    await call();
    times.push(performance.now() - from);
  };
}

function resident(agent: TestAgent): number {
  return (['front', 'runner'] as const)
    .map((part) => agent.part(part))
    .reduce<number>((sum, pid) => sum + (pid === undefined ? 0 : residentBytes(pid)), 0);
}

function named(lines: Record<string, [number, number][] | undefined>): Series[] {
  return Object.entries(lines).map(([name, points]) => ({ name, points: points ?? [] }));
}

function write(name: string, plot: Plot): void {
  writeFileSync(path.join(PLOTS, `${name}.svg`), drawPlot(plot));
  for (const { name: series, points } of plot.series) {
    console.log(
      `${name}, ${series} in ${plot.y.label}: ${points.map(([x, y]) => `${Number(x.toPrecision(3))}: ${Number(y.toPrecision(3))}`).join(', ')}`,
    );
  }
}
