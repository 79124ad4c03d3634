/**
 * What must come of calls whose machine vanishes without a word, FIN or RST: the agent notices, and does what the manifest says. TCP alone would notice
 * after a quarter of an hour.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { until } from '../helpers/wait.ts';
import type { Case } from './cases.ts';
import { connectionsOf, cutOff, joinAgain } from './network.ts';
import { stubOf, type Called, type Pod, type Transport } from './pod.ts';
import type { World } from './world.ts';

export const VANISHING: [name: string, transport: Transport][] = [
  ['tcp', 'tcp'],
  ['openssl', 'openssl'],
  ['curl', 'curl'],
];

export const VANISH_CASES: Case[] = [
  { name: 'for a while', run: forAWhile },
  { name: 'for good', run: forGood },
];

/** Milliseconds: a tick within 10 s, repeats for 25 s, a look each 5 s; the rest is for busy machines. */
const NOTICED = 100_000;
/** The same, and the time in which a stub may come back. */
const ENDED = NOTICED + 60_000;
/** Seconds. It hears a tick every ten. */
const STUB = { MEDIATOR_SILENCE: '15' };

async function forAWhile(pod: Pod, world: World): Promise<string> {
  const name = world.newCall();
  const call = start(pod, 'await', name);
  await until('the script runs', () => world.hasStarted(name));
  await cutOff(pod.network);
  await until('the agent has noticed', async () => (await connectionsOf(pod.network)) === 0, NOTICED);
  await joinAgain(pod.network);
  writeFileSync(path.join(world.folder, name), '');
  const { code, stdout, stderr } = await call;
  assert.deepEqual({ code, stdout: stdout.toString() }, { code: 4, stdout: 'before\nafter\n' }, stderr);
  world.expectStarts(name, 1);
  return 'resumed';
}

/** What is silent and what prints is ended, where the manifest says so, and goes on where it does not. */
async function forGood(pod: Pod, world: World): Promise<string> {
  const scripts = ['drop', 'pour', 'await'].map((script) => ({ script, name: world.newCall() }));
  const calls = scripts.map(({ script, name }) => start(pod, script, name));
  await until('the scripts run', () => scripts.every(({ name }) => world.hasStarted(name)));
  await cutOff(pod.network);
  for (const { code, stderr } of await Promise.all(calls)) assert.equal(code, 125, stderr);
  const outcomes = async (): Promise<(string | null)[]> => Promise.all(scripts.map((called) => outcomeOf(world, called)));
  await until('two are ended', async () => (await outcomes()).join() === 'cancelled,cancelled,', ENDED);
  assert.equal(await connectionsOf(pod.network), 0);
  for (const { name } of scripts) writeFileSync(path.join(world.folder, name), '');
  await until('the third has ended by itself', async () => (await outcomes()).join() === 'cancelled,cancelled,exited');
  for (const { name } of scripts) world.expectStarts(name, 1);
  return 'cancelled, or finished';
}

async function outcomeOf({ agent }: World, { script, name }: { script: string; name: string }): Promise<string | null> {
  const rows = await agent.runs(`script=vanish-${script}&limit=100`);
  const runs = await Promise.all(rows.map(({ id }) => agent.run(id)));
  const run = runs.find(({ args }) => JSON.stringify(args) === JSON.stringify([name]));
  assert.ok(run, name);
  return run.outcome;
}

function start(pod: Pod, script: string, call: string): Promise<Called> {
  return pod.run([stubOf(pod), `vanish-${script}`, call], { env: STUB });
}
