/** 32 calls at once: how many end in a second. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { TestAgent } from '../helpers/agent.ts';
import { hookCall, invocation, rateOf, socketCall, type Call } from './load.ts';
import type { Peers } from './peers.ts';
import type { Result, RowName } from './rows.ts';
import { median, ratio } from './statistics.ts';

const CONCURRENCY = 32;

export async function measureRates(
  agent: TestAgent,
  peers: Peers,
  { rounds, seconds }: { rounds: number; seconds: number },
): Promise<Result[]> {
  await using yardstick = startSpawnLoop();
  const under = (call: Call) => () => rateOf(call, CONCURRENCY, seconds);
  const turns: [string, () => Promise<number>][] = [
    ['ours', under(invocation(agent, 'true'))],
    ['spawn', () => yardstick.rate(seconds)],
    ...(peers.websocketd === undefined ? [] : [['websocketd', under(socketCall(peers.websocketd))] satisfies [string, unknown]]),
    ...(peers.webhook === undefined ? [] : [['webhook', under(hookCall(peers.webhook.http))] satisfies [string, unknown]]),
  ];
  const rates: Record<string, number[]> = Object.fromEntries(turns.map(([name]) => [name, []]));
  for (const [, turn] of turns) await turn(); // warm
  for (let round = 0; round < rounds; round += 1) {
    for (const [name, turn] of round % 2 === 0 ? turns : turns.toReversed()) rates[name]?.push(await turn());
  }
  const row = (name: RowName, theirs: string): Result[] => {
    const [a, b] = [rates.ours, rates[theirs]];
    if (a === undefined || b === undefined) return [];
    const { value, low, high } = ratio(a, b);
    return [{ name, value, low, high, ours: median(a), theirs: median(b) }];
  };
  return [...row('rate_vs_spawn', 'spawn'), ...row('rate_vs_websocketd', 'websocketd'), ...row('rate_vs_webhook', 'webhook')];
}

/** A process of its own, as the agent is one. */
export function startSpawnLoop(): AsyncDisposable & { rate: (seconds: number) => Promise<number> } {
  const child = spawn(process.execPath, [path.join(import.meta.dirname, 'spawn-loop.ts'), String(CONCURRENCY)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async rate(seconds) {
      child.stdin.write(`${seconds}\n`);
      return Number((await answers.next()).value);
    },
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      await once(child, 'exit');
    },
  };
}
