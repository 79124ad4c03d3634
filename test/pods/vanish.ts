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

export const VANISH_CASES: Case[] = [{ name: 'for a while', run: forAWhile }];

/** Milliseconds: a tick within 10 s, repeats for 25 s, a look each 5 s; the rest is for busy machines. */
const NOTICED = 100_000;
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

function start(pod: Pod, script: string, call: string): Promise<Called> {
  return pod.run([stubOf(pod), `vanish-${script}`, call], { env: STUB });
}
