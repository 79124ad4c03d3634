/**
 * How long after its grace period a run is dead, by the shape of what must die: `node test/bounds/deaths.ts`. Prints milliseconds, the median and the
 * worst, from the moment at which KILL is due until /proc shows no process of the run any more; for cancels they hold the order's way through the API.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { startAgent, type TestAgent } from '../helpers/agent.ts';
import { processesNaming } from '../helpers/processes.ts';
import { dial, newToken, startMessage } from '../helpers/stub.ts';
import { until } from '../helpers/wait.ts';

const GRACE = 300;
const TIMEOUT = 1000;
const ROUNDS = 5;
const DEAF = 'trap "" TERM HUP';
/** All ignore TERM. The last command of each keeps the run going. */
const SHAPES: Record<string, string> = {
  'plain child': 'sleep 600',
  'process group': 'for i in 1 2 3 4; do sleep 600 & done; wait',
  'setsid escapee': 'setsid sleep 600 & wait',
  'double fork': '(setsid bash -c "sleep 600 & sleep 600 & exit" &); sleep 600',
  'holder of the pipe': '(setsid bash -c "while :; do echo x; sleep 0.05; done" &); sleep 600',
  'stopped child': 'sleep 600 & kill -STOP $!; wait',
  'quick forks': 'while :; do (sleep 0.01 & sleep 0.01 & wait) & sleep 0.005; done',
};

async function main(agent: TestAgent): Promise<void> {
  for (const [index, source] of Object.values(SHAPES).entries()) {
    const text = `#!/bin/bash\n${DEAF}\ndate +%s%3N >"$1.began"\n${source}\n`;
    agent.script(`cancel-${index}.sh`, text, { manifest: `grace: ${GRACE}ms\n` });
    agent.script(`timeout-${index}.sh`, text, { manifest: `grace: ${GRACE}ms\ntimeout: ${TIMEOUT}ms\n` });
  }
  for (const [index, shape] of Object.keys(SHAPES).entries()) {
    for (const way of ['cancel', 'timeout'] as const) {
      const times: number[] = [];
      while (times.length < ROUNDS) times.push(await measure(agent, `${way}-${index}`, way));
      times.sort((a, b) => a - b);
      console.log(`${shape.padEnd(20)} ${way.padEnd(8)} ${times[Math.floor(ROUNDS / 2)]} ms, at most ${times.at(-1)} ms`);
    }
  }
}

async function measure(agent: TestAgent, script: string, way: 'cancel' | 'timeout'): Promise<number> {
  const token = newToken();
  const base = path.join(agent.dir, token);
  const call = await dial(agent);
  call.send(startMessage({ script, token, args: [base] }));
  call.send({ type: 'end', stdin: 0 });
  const run = await call.accepted();
  const began = await until('it began', () => Number(read(`${base}.began`)) || undefined);
  if (way === 'cancel') await until('it has grown', () => processesNaming(run).length > 1);
  const due = way === 'cancel' ? Date.now() + GRACE : began + TIMEOUT + GRACE;
  if (way === 'cancel') void agent.api(`/v1/runs/${run}/cancel`, 'POST');
  for (let first = true; first || processesNaming(run).length > 0; first = false) await new Promise((resolve) => setImmediate(resolve));
  const dead = Date.now() - due;
  await call.terminal();
  call.destroy();
  return dead;
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

const agent = await startAgent();
try {
  await main(agent);
} finally {
  await agent.close();
}
