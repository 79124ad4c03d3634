/** What a stub must be able to do through a proxy. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { until } from '../helpers/wait.ts';
import { assertCalled, call, urlOf } from './cases.ts';
import { Cutter } from './cutter.ts';
import type { CallOptions, Called, Pod } from './pod.ts';
import { Proxy, type ProxyPlan } from './proxies.ts';
import type { World } from './world.ts';

/** Seconds: longer than every default (haproxy 50, nginx 60), shorter than stunnel's of 12 h. */
const LONG_SILENCE = 62;
/** Seconds: shorter than the 10 s between ticks, so that the proxy cuts, and the silence that it cuts several times. */
const SHORT_PATIENCE = 2;
const SILENCE = 7;

export interface ProxyCase {
  name: string;
  /** Of the proxy, in seconds; otherwise its default. */
  patience?: number;
  run: (way: Way) => Promise<string>;
}

/** From a pod through a proxy to the agent. */
export interface Way {
  pod: Pod;
  world: World;
  proxy: Proxy;
  /** Between proxy and agent; cuts nothing, and counts. */
  counter: Cutter;
}

export const PROXY_CASES: ProxyCase[] = [
  { name: 'small call', run: smallCall },
  { name: 'binary both ways', run: binaryBothWays },
  { name: '100 MiB out', run: bulkOut },
  { name: `silent for ${SILENCE} s, cut after ${SHORT_PATIENCE} s`, patience: SHORT_PATIENCE, run: cutForSilence },
  { name: 'proxy restarted', run: proxyRestarted },
];
/** Takes a minute in which nothing happens: it runs beside the others. */
export const LONG_CASE: ProxyCase = { name: `silent for ${LONG_SILENCE} s, default timeouts`, run: longSilence };

/** Opens the way, runs the case on it, and closes it. */
export async function runThrough(plan: ProxyPlan, { patience, run }: ProxyCase, from: Pick<Way, 'pod' | 'world'>): Promise<string> {
  const { world } = from;
  const counter = await Cutter.open(world.door('ws'));
  const target = { host: world.door('ws').host, port: counter.port };
  const proxy = await Proxy.start(plan, path.join(world.folder, `${plan.name}-${counter.port}`), {
    ...{ identity: world.identity, target },
    ...(patience === undefined ? {} : { patience }),
  });
  try {
    counter.plan();
    return await run({ ...from, proxy, counter });
  } finally {
    await proxy.stop();
    counter.close();
  }
}

async function smallCall(way: Way): Promise<string> {
  const called = await callThrough(way, ['small', 'two words'], { stdin: '<ticket/>' });
  assertCalled(called, { code: 7, stdout: '<two words>|||<ticket/>', stderr: 'warning\n' });
  return `${called.time.toFixed(0)} ms`;
}

async function binaryBothWays(way: Way): Promise<string> {
  const stdin = Buffer.concat([Buffer.alloc(70_000), randomBytes(3_000_000), Buffer.alloc(1)]);
  const called = await callThrough(way, ['mirror'], { stdin });
  assertCalled(called, { stdout: stdin });
  return `${called.time.toFixed(0)} ms`;
}

async function bulkOut(way: Way): Promise<string> {
  const called = await callThrough(way, ['bulk']);
  assertCalled(called, { stdout: way.world.bulk });
  return `${(way.world.bulk.length / 1e3 / called.time).toFixed(0)} MB/s`;
}

async function cutForSilence(way: Way): Promise<string> {
  await beSilent(way, SILENCE);
  assert.ok(way.counter.connections > 1, 'the proxy cut nothing');
  return `${way.counter.connections} connections`;
}

async function longSilence(way: Way): Promise<string> {
  await beSilent(way, LONG_SILENCE);
  assert.equal(way.counter.connections, 1, 'ticks did not keep the connection');
  return 'one connection';
}

async function beSilent(way: Way, seconds: number): Promise<void> {
  const name = way.world.newCall();
  const called = await callThrough(way, ['silent', name, String(seconds)]);
  assertCalled(called, { code: 4, stdout: 'before\nafter\n' });
  way.world.expectStarts(name, 1);
}

async function proxyRestarted(way: Way): Promise<string> {
  const name = way.world.newCall();
  const calling = callThrough(way, ['await', name]);
  await Promise.race([until('the script was started', () => way.world.hasStarted(name)), calling]);
  await way.proxy.stop();
  await way.proxy.begin();
  writeFileSync(path.join(way.world.folder, name), '');
  assertCalled(await calling, { code: 4, stdout: 'before\nafter\n' });
  way.world.expectStarts(name, 1);
  return '';
}

function callThrough({ pod, proxy }: Way, args: string[], options: CallOptions = {}): Promise<Called> {
  return call(pod, args, { ...options, env: { MEDIATOR_URL: urlOf(pod, proxy.port), MEDIATOR_TRANSPORT: pod.plan.transport } });
}
