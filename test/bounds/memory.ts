/**
 * What connections and runs cost in memory: `node test/bounds/memory.ts`. Prints the growth of front and runner together, in MiB, for
 * 2,000 connections that wait for a run to go on, for 200 readers that do not read, and for 500 runs at once; and fails beyond the goals.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { startAgent, type TestAgent } from '../helpers/agent.ts';
import { residentBytes } from '../helpers/processes.ts';
import { dial, invoke, newToken, startMessage, type Call } from '../helpers/stub.ts';
import { until } from '../helpers/wait.ts';

const MIB = 1024 * 1024;
const ACCEPT = { frame: 1_048_576, bulk: 2 };
const IDLE = 2000;
const DEAF = 200;
const RUNS = 500;
/** MiB. The 500 runs are a goal of the design; a connection may cost 64 KiB while it waits, and 1 MiB while its reader is stuck. */
const GOALS = { idle: (IDLE * 64) / 1024, deaf: DEAF, runs: 150 };

let agent: TestAgent;
let failed = 0;
const stages = async (): Promise<void> => {
  await measure('idle', async () => {
    const { token, first, open } = await waiting('idle');
    const calls: Call[] = [first];
    while (calls.length < IDLE) calls.push(...(await Promise.all(Array.from({ length: 50 }, () => resume(token)))));
    return async () => {
      open();
      for (const call of calls) await call.terminal();
      for (const call of calls) call.destroy();
    };
  });
  await measure('deaf', async () => {
    const token = newToken();
    await invoke(agent, { script: 'print', token });
    const calls: Call[] = [];
    while (calls.length < DEAF) calls.push(...(await Promise.all(Array.from({ length: 20 }, () => resume(token, true)))));
    return () => {
      for (const call of calls) call.destroy();
      return Promise.resolve();
    };
  });
  await measure('runs', async () => {
    const begun: Awaited<ReturnType<typeof waiting>>[] = [];
    while (begun.length < RUNS) begun.push(...(await Promise.all(Array.from({ length: 20 }, () => waiting('runs')))));
    return async () => {
      begun[0]?.open();
      for (const { first } of begun) await first.terminal();
      for (const { first } of begun) first.destroy();
    };
  });
};
await stages();
process.stdout.write(`${3 - failed} passed, ${failed} failed, 0 skipped\n`);
process.exitCode = failed === 0 ? 0 : 1;

async function measure(name: keyof typeof GOALS, begin: () => Promise<() => Promise<void>>): Promise<void> {
  const growth = await growthOf(begin);
  const good = growth <= GOALS[name];
  if (!good) failed += 1;
  process.stdout.write(`${good ? 'ok  ' : 'FAIL'} ${name}: ${growth.toFixed(0)} MiB, goal ${GOALS[name]}\n`);
}

/** With an agent of its own: memory that was used once does not come back at once, and would hide what follows. */
async function growthOf(begin: () => Promise<() => Promise<void>>): Promise<number> {
  agent = await startAgent({ settings: { limits: { concurrency: RUNS + 8, connections: 4096 } } });
  try {
    agent.script('wait.sh', '#!/bin/sh\necho x\nuntil [ -e "$1" ]; do sleep 1; done\n');
    agent.script('print.sh', '#!/bin/sh\nexec head -c 16000000 /dev/zero\n');
    await invoke(agent, { script: 'print' });
    const before = resident(agent);
    const end = await begin();
    const growth = (await settled(agent)) - before;
    await end();
    return growth;
  } finally {
    await agent.close();
  }
}

/** A run that goes on until it is opened. */
async function waiting(name: string): Promise<{ token: string; first: Call; open: () => void }> {
  const go = path.join(agent.dir, `${name}.go`);
  const token = newToken();
  const first = await dial(agent);
  first.send(startMessage({ script: 'wait', args: [go], token }));
  first.send({ type: 'end', stdin: 0 });
  await until('the run goes on', () => first.stdout.length > 0);
  return {
    token,
    first,
    open: () => {
      writeFileSync(go, '');
    },
  };
}

async function resume(token: string, deaf = false): Promise<Call> {
  const call = await dial(agent);
  call.send({ type: 'resume', token, stdout: 0, stderr: 0, accept: ACCEPT });
  if (deaf) call.pause();
  else await call.accepted();
  return call;
}

/** MiB, of front and runner. */
function resident({ part }: { part: TestAgent['part'] }): number {
  return (['front', 'runner'] as const).reduce((sum, name) => sum + residentBytes(part.call(agent, name) ?? 0), 0) / MIB;
}

/** The highest of what is seen until it does not grow any more for two seconds. */
async function settled(of: TestAgent): Promise<number> {
  let highest = 0;
  let since = performance.now();
  await until('the memory does not grow any more', () => {
    const now = resident(of);
    if (now > highest + 1) since = performance.now();
    highest = Math.max(highest, now);
    return performance.now() - since > 2000;
  });
  return highest;
}
