/** Resident memory of runner and front together: how much more it is at its highest than before. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { TestAgent } from '../helpers/agent.ts';
import { residentBytes } from '../helpers/processes.ts';
import { writeStub } from './latency.ts';
import { invocation } from './load.ts';
import type { Result } from './rows.ts';
import type { Workplace } from './workplace.ts';

const MIB = 1024 * 1024;

/** @param agent that has not done much yet @param mebibytes how much streams */
export async function measureStream(place: Workplace, agent: TestAgent, mebibytes: number): Promise<Result> {
  agent.script('stream', `#!/bin/sh\nexec head -c "$1" /dev/zero | tr '\\0' x\n`);
  const stub = await writeStub(place, agent, 'stream', ['--url', agent.urls.wss], 'stream');
  await drain(stub, 16);
  return { name: 'rss_stream', value: await growthWhile(agent, () => drain(stub, mebibytes)) };
}

/** @param agent whose configuration lets so many run at once */
export async function measureCrowd(place: Workplace, agent: TestAgent, runs: number): Promise<Result> {
  const gate = path.join(place.folder, 'gate');
  agent.script('wait', `#!/bin/sh\nuntil [ -e ${gate} ]; do sleep 1; done\n`);
  await invocation(agent, 'true')();
  const growth = await growthWhile(agent, async () => {
    const calls = Array.from({ length: runs }, () => invocation(agent, 'wait')());
    while ((await agent.runs(`limit=${2 * runs}`)).filter(({ outcome, started }) => outcome === null && started !== null).length < runs)
      await delay(200);
    writeFileSync(gate, '');
    await Promise.all(calls);
  });
  return { name: 'rss_500', value: growth };
}

async function drain(stub: string, mebibytes: number): Promise<void> {
  if (!existsSync(stub)) throw new Error(`${stub} is missing`);
  const child = spawn('bash', [stub, String(mebibytes * MIB)], { stdio: ['ignore', 'ignore', 'inherit'] });
  await once(child, 'exit');
  if (child.exitCode !== 0) throw new Error(`the stub ended with ${child.exitCode}`);
}

/** MiB */
async function growthWhile(agent: TestAgent, work: () => Promise<void>): Promise<number> {
  const resident = (): number =>
    (['front', 'runner'] as const)
      .map((name) => agent.part(name))
      .reduce<number>((sum, pid) => sum + (pid === undefined ? 0 : residentBytes(pid)), 0);
  const before = resident();
  let highest = before;
  const timer = setInterval(() => (highest = Math.max(highest, resident())), 50);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  return (highest - before) / MIB;
}
