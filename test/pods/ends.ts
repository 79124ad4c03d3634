/** What must come of a run whose caller leaves: by a signal, or because nobody reads its stdout any more. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { until } from '../helpers/wait.ts';
import { type Case } from './cases.ts';
import { stubOf, type Called, type Pod } from './pod.ts';
import type { World } from './world.ts';

const SIGNALS = { TERM: 143, INT: 130, HUP: 129 } as const;
/** Milliseconds. The stub promises a second; the rest is for machines that are busy with something else. */
const PATIENCE = 5000;

/** A caller made of bash alone: it starts the stub as a job of its own, or else SIGINT would be ignored, and sends the signal when it is told to. */
const CALLER = `set -m
signal=$1; shift
/bin/bash "$@" <&- &
set +m
IFS= read -r _
kill -s "$signal" $!
wait $!`;
/** Reads one line of the stub's stdout, and then never again. */
const READER = `/bin/bash "$@" <&- | { IFS= read -r line; printf '%s\\n' "$line"; }
exit "\${PIPESTATUS[0]}"`;

export const END_CASES: Case[] = [
  { name: 'TERM, INT, HUP: cancelled', run: (pod, world) => signals(pod, world, 'drop', 'cancelled') },
  { name: 'TERM, INT, HUP: left alone', run: (pod, world) => signals(pod, world, 'await', 'exited') },
  { name: 'stdout closed', run: closedStdout },
];

/** @param script whose manifest says what becomes of it; @param outcome that the journal has to have in the end */
async function signals(pod: Pod, world: World, script: string, outcome: string): Promise<string> {
  const times: string[] = [];
  for (const [signal, code] of Object.entries(SIGNALS)) {
    const name = world.newCall();
    const running = pod.open(['-c', CALLER, 'bash', signal, stubOf(pod), script, name]);
    await Promise.race([until('the script was started', () => world.hasStarted(name)), running.ended]);
    const begin = performance.now();
    running.say('\n');
    const called = await running.ended;
    const time = performance.now() - begin;
    assertEnded(called, code, signal);
    assert.ok(time < PATIENCE, `${signal}: it took ${time.toFixed(0)} ms`);
    if (outcome === 'exited') writeFileSync(path.join(world.folder, name), '');
    await ended(world, script, outcome);
    world.expectStarts(name, 1);
    times.push(`${time.toFixed(0)} ms`);
  }
  return times.join(', ');
}

async function closedStdout(pod: Pod, world: World): Promise<string> {
  const name = world.newCall();
  const called = await pod.run(['-c', READER, 'bash', stubOf(pod), 'pour', name]);
  assertEnded(called, 141, 'closed');
  assert.equal(called.stdout.toString(), 'line\n');
  await ended(world, 'pour', 'cancelled');
  world.expectStarts(name, 1);
  return '';
}

/** One line for the operator, and nothing of bash's own. */
function assertEnded(called: Called, code: number, what: string): void {
  assert.match(called.stderr, /^mediator: [^\n]+\n$/, `${what}: ${called.stderr}`);
  assert.equal(called.code, code, `${what}: ${called.stderr}`);
}

/** The last run of that script ends so. */
async function ended(world: World, script: string, outcome: string): Promise<void> {
  await until(`the run of ${script} is ${outcome}`, async () => {
    const last = (await world.agent.runs('limit=10')).find((run) => run.script === script);
    return last?.outcome === outcome;
  });
}
