/** What must survive a connection that is cut: wherever it is cut, the script starts once or not at all, and the caller learns the truth. */
import assert from 'node:assert/strict';
import { assertCalled, assertRefused, call, speaksTls, urlOf, type Case } from './cases.ts';
import { Cutter, type Cut } from './cutter.ts';
import type { Pod } from './pod.ts';
import type { World } from './world.ts';

const OUTPUT = 300_000;
/** Shares of all bytes in a direction, at which it is cut. */
const SHARES = [0.001, 0.05, 0.25, 0.5, 0.7, 0.8, 0.9, 0.95, 0.999];
/** From here on the way down, what comes is output: the run was accepted. */
const SURELY_ACCEPTED = 0.25;

export const CUT_CASES: Case[] = [
  { name: 'cut on the way down', run: (pod, world) => withCutter(pod, world, cutDown) },
  { name: 'five cuts in one call', run: (pod, world) => withCutter(pod, world, cutOften) },
  { name: 'cut on the way up', run: (pod, world) => withCutter(pod, world, cutUp) },
  { name: 'cut in a long stdin', run: (pod, world) => withCutter(pod, world, cutStdin) },
];

interface Wire {
  pod: Pod;
  world: World;
  cutter: Cutter;
}

async function withCutter(pod: Pod, world: World, body: (wire: Wire) => Promise<string>): Promise<string> {
  const cutter = await Cutter.open(world.door(speaksTls(pod) ? 'wss' : 'ws'));
  try {
    return await body({ pod, world, cutter });
  } finally {
    cutter.close();
  }
}

async function cutDown(wire: Wire): Promise<string> {
  await work(wire);
  const total = wire.cutter.bytes.down;
  let resumed = 0;
  for (const share of SHARES) {
    const finished = await work(wire, { direction: 'down', after: Math.ceil(total * share) });
    if (share >= SURELY_ACCEPTED) assert.ok(finished, `given up, after ${share} of all bytes`);
    resumed += Number(finished);
  }
  return `${resumed} of ${SHARES.length} resumed`;
}

async function cutOften(wire: Wire): Promise<string> {
  const cuts = Array.from({ length: 5 }, (): Cut => ({ direction: 'down', after: OUTPUT / 6 }));
  assert.ok(await work(wire, ...cuts));
  assert.equal(wire.cutter.connections, 6);
  return '';
}

async function cutUp(wire: Wire): Promise<string> {
  await work(wire);
  const total = wire.cutter.bytes.up;
  let resumed = 0;
  for (const share of SHARES) resumed += Number(await work(wire, { direction: 'up', after: Math.ceil(total * share) }));
  assert.ok(resumed > 0, 'no request was sent again');
  return `${resumed} of ${SHARES.length} resumed`;
}

/** Longer than what a stub keeps: it may give up, but then nothing was started. */
async function cutStdin({ pod, world, cutter }: Wire): Promise<string> {
  const name = world.newCall();
  cutter.plan({ direction: 'up', after: 150_000 });
  const stdin = Buffer.alloc(300_000, 'x');
  const called = await call(pod, ['count', name], { stdin, env: { MEDIATOR_URL: urlOf(pod, cutter.port) } });
  if (called.code === 69) assertRefused(called, 69);
  else assertCalled(called, { stdout: '300000\n' });
  world.expectStarts(name, called.code === 69 ? 0 : 1);
  return called.code === 69 ? 'nothing started' : 'sent again';
}

/** One call over connections that are cut like this. Either all of it arrives, or it says that nothing was started, and nothing was. */
async function work({ pod, world, cutter }: Wire, ...cuts: Cut[]): Promise<boolean> {
  const name = world.newCall();
  cutter.plan(...cuts);
  const called = await call(pod, ['work', name, String(OUTPUT)], { stdin: 'a ticket', env: { MEDIATOR_URL: urlOf(pod, cutter.port) } });
  const what = `${JSON.stringify(cuts)}, ${cutter.connections} connections`;
  const finished = called.code !== 69;
  if (finished) assertCalled(called, { code: 3, stdout: world.bulk.subarray(0, OUTPUT), stderr: 'done\n' }, what);
  else assertRefused(called, 69, what);
  world.expectStarts(name, finished ? 1 : 0, what);
  return finished;
}
