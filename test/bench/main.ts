/**
 * npm run bench: every row of rows.ts, ours and theirs in turns on this machine. Options: --json, --quick (under two minutes), --only NAME[,NAME...],
 * --guard FILE (fails if a row became much worse than the file says).
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { Sidecar } from '../e2e/sidecar.ts';
import { prepareAgent, type TestAgent } from '../helpers/agent.ts';
import { mediatorAgent } from '../helpers/command.ts';
import { measureJournal, measureScripts } from './flatness.ts';
import { guard } from './guard.ts';
import { measureLatency } from './latency.ts';
import { measureCrowd, measureStream } from './memory.ts';
import { measureOutput } from './output.ts';
import { startPeers } from './peers.ts';
import { measureRates } from './rates.ts';
import { printResult, printTable } from './report.ts';
import { ROW_NAMES, type Result, type RowName } from './rows.ts';
import { Workplace } from './workplace.ts';

const { values } = parseArgs({
  options: { json: { type: 'boolean' }, quick: { type: 'boolean' }, only: { type: 'string' }, guard: { type: 'string' } },
});
const quick = values.quick === true;
const wanted = new Set<string>(values.only?.split(',') ?? ROW_NAMES);
const results: Result[] = [];

await using place = new Workplace();
const agent = await startBenchAgent();
const peers = await startPeers(place, { certificate: path.join(agent.dir, 'tls/cert.pem'), key: path.join(agent.dir, 'tls/key.pem') });

await measure(['rss_stream'], async () => [await measureStream(place, agent, quick ? 256 : 1024)]);
await measure(['rss_500'], async () => [await measureCrowd(place, agent, 500)]);
await measure(
  ['plain_vs_webhook', 'tls_vs_webhook', 'tls_vs_handshake', 'tls_vs_ssh', 'tls_vs_ssh_warm', 'sidecar_vs_ssh_warm'],
  async () => measureLatency(place, { agent, peers, sidecar: await startSidecar(), rounds: quick ? 20 : 100 }),
);
await measure(['rate_vs_spawn', 'rate_vs_websocketd', 'rate_vs_webhook'], () =>
  measureRates(agent, peers, quick ? { rounds: 2, seconds: 1.5 } : { rounds: 6, seconds: 3 }),
);
await measure(['output_vs_ssh', 'output_bash_only'], () =>
  measureOutput(place, { agent, peers, ...(quick ? { rounds: 3, mebibytes: 64 } : { rounds: 7, mebibytes: 256 }) }),
);
await measure(['flat_scripts'], async () => [await measureScripts(place, quick ? 1000 : 10_000, quick ? 100 : 400)]);
await measure(['flat_journal'], async () => [await measureJournal(place, quick ? 100_000 : 1_000_000, quick ? 100 : 400)]);

if (values.guard !== undefined)
  process.exitCode = guard(
    values.guard,
    results,
    ROW_NAMES.filter((name) => wanted.has(name)),
  )
    ? 0
    : 1;
else if (values.json === true)
  console.log(JSON.stringify(Object.fromEntries(results.map(({ name, value }) => [name, Number(value.toFixed(3))]))));
else printTable(results);

async function measure(names: RowName[], work: () => Promise<Result[]>): Promise<void> {
  if (!names.some((name) => wanted.has(name))) return;
  const measured = await work();
  for (const name of names) {
    const result = measured.find((candidate) => candidate.name === name);
    if (result) results.push(result);
    printResult(name, result);
  }
}

/** A call of `true` through a sidecar, as bash code. */
async function startSidecar(): Promise<string> {
  const sidecar = await new Sidecar(agent, 'sidecar').start();
  place.atEnd(() => sidecar.stop());
  const { code, stdout, stderr } = await mediatorAgent([
    'stub',
    '--config',
    sidecar.config,
    '--url',
    sidecar.url,
    '--plaintext',
    '--script',
    'true',
  ]);
  if (code !== 0) throw new Error(stderr);
  const file = path.join(place.folder, 'sidecar.sh');
  writeFileSync(file, stdout, { mode: 0o700 });
  return `bash ${file}`;
}

/** As an operator has it, but for the one limit that 500 runs at once need. */
async function startBenchAgent(): Promise<TestAgent> {
  const made = await prepareAgent({ settings: { limits: { concurrency: 512 } } });
  made.script('true', '#!/bin/true\n');
  place.atEnd(() => made.close());
  await made.start();
  return made;
}
