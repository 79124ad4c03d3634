/**
 * `node test/bench/cores.ts [ROUNDS]`: what the second core brings. Runs a second at 32 at once, with the agent and its scripts on one core and on all, in turns; the callers
 * are in this process, which is on all of them. Then what a run takes of each part's processor time; and what two whole agents do side by side, which is the most that a second
 * front, runner or keeper could bring.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import type { TestAgent } from '../helpers/agent.ts';
import { idleAgent } from './flatness.ts';
import { invocation, rateOf } from './load.ts';
import { median } from './statistics.ts';
import { Workplace } from './workplace.ts';

const ROUNDS = Number(process.argv[2] ?? 5);
const CONCURRENCY = 32;
const SECONDS = 3;
const PARTS = ['front', 'runner', 'keeper'] as const;
/** Linux: USER_HZ. */
const TICK = 10;

await using place = new Workplace();
const [agent, other] = [await idleAgent(place), await idleAgent(place)];
await agent.start();
await other.start();
const calls = [invocation(agent, 'true'), invocation(other, 'true')] as const;
for (const call of calls) await rateOf(call, CONCURRENCY, SECONDS);

const all = `0-${availableParallelism() - 1}`;
const rates: Record<string, number[]> = { '0': [], [all]: [], two: [] };
const used: number[][] = [];
for (let round = 0; round < ROUNDS; round += 1) {
  for (const cores of round % 2 === 0 ? ['0', all] : [all, '0']) {
    moveTo(cores);
    const before = usage(agent);
    const rate = await rateOf(calls[0], CONCURRENCY, SECONDS);
    rates[cores]?.push(rate);
    if (cores === all) used.push(usage(agent).map((time, index) => (time - (before[index] ?? 0)) / (rate * SECONDS)));
  }
  moveTo(all);
  const shares = await Promise.all(calls.map((call) => rateOf(call, CONCURRENCY / 2, SECONDS)));
  rates.two?.push(shares.reduce((sum, share) => sum + share, 0));
}
const [one = 0, more = 0, two = 0] = ['0', all, 'two'].map((name) => median(rates[name] ?? []));
console.log(`on one core ${one.toFixed(0)} runs/s, on ${availableParallelism()} ${more.toFixed(0)}: ${(more / one).toFixed(2)} times`);
console.log(`two agents, half of the callers each: ${two.toFixed(0)} runs/s, ${(two / more).toFixed(2)} times`);
for (const [index, name] of [...PARTS, 'scripts, and their start'].entries())
  console.log(`${name}: ${median(used.map((times) => times[index] ?? 0)).toFixed(2)} ms of a run`);

/** Processes that the keeper starts inherit it. */
function moveTo(cores: string): void {
  for (const part of PARTS) {
    const pid = agent.part(part);
    if (pid !== undefined) execFileSync('taskset', ['-a', '-c', '-p', cores, String(pid)], { stdio: 'ignore' });
  }
}

/** Milliseconds of processor time of each part, and of what the keeper has reaped. */
function usage(of: TestAgent): number[] {
  const times = PARTS.map((part) => {
    const stat = readFileSync(`/proc/${of.part(part) ?? 'self'}/stat`, 'latin1');
    // proc_pid_stat(5): from field 3 on, behind the name; 14 and 15 are its own, 16 and 17 those of its children
    const fields = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    const [user = 0, system = 0, childrenUser = 0, childrenSystem = 0] = fields.slice(11, 15);
    return { own: TICK * (user + system), children: TICK * (childrenUser + childrenSystem) };
  });
  return [...times.map(({ own }) => own), times.at(-1)?.children ?? 0];
}
