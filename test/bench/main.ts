/**
 * npm run bench: every row of rows.ts, ours and theirs in turns on this machine. Options: --json; --quick (under two minutes); --only NAME[,NAME...];
 * --guard FILE (fails if a row is much worse than the file says, three times in a row); --record (writes the ratios to recorded.json, the table to docs/speed.md).
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { Sidecar } from '../e2e/sidecar.ts';
import type { TestAgent } from '../helpers/agent.ts';
import { mediatorAgent } from '../helpers/command.ts';
import { measureJournal, measureScripts } from './flatness.ts';
import { betterOf, isWorse, printVerdicts, readRecorded } from './guard.ts';
import { measureLatency } from './latency.ts';
import { measureCrowd, measureStream } from './memory.ts';
import { measureOutput } from './output.ts';
import { startPeers } from './peers.ts';
import { measureRates } from './rates.ts';
import { record } from './record.ts';
import { prepareReleased } from './release.ts';
import { printResult, tableOf } from './report.ts';
import { ROW_NAMES, type Result, type RowName } from './rows.ts';
import { Workplace } from './workplace.ts';

/** How often the guard measures what seems worse. */
const TRIES = 3;

const { values } = parseArgs({
  options: {
    json: { type: 'boolean' },
    quick: { type: 'boolean' },
    only: { type: 'string' },
    guard: { type: 'string' },
    record: { type: 'boolean' },
  },
});
const quick = values.quick === true;
const asked = new Set<string>(values.only?.split(',') ?? ROW_NAMES);
const wanted = ROW_NAMES.filter((name) => asked.has(name));
const results = new Map<RowName, Result>();

await using place = new Workplace();
const agent = await startBenchAgent();
const peers = await startPeers(place, { certificate: path.join(agent.dir, 'tls/cert.pem'), key: path.join(agent.dir, 'tls/key.pem') });
const sidecar = asked.has('sidecar_vs_ssh_warm') ? await startSidecar() : undefined;

/** What is measured together, and how. */
const groups: [RowName[], () => Promise<Result[]>][] = [
  [['rss_stream'], async () => [await measureStream(place, await startBenchAgent(), quick ? 256 : 1024)]],
  [['rss_500'], async () => [await measureCrowd(place, await startBenchAgent(), 500)]],
  [
    ['plain_vs_webhook', 'tls_vs_webhook', 'tls_vs_handshake', 'tls_vs_ssh', 'tls_vs_ssh_warm', 'sidecar_vs_ssh_warm'],
    () => measureLatency(place, { agent, peers, ...(sidecar !== undefined && { sidecar }), rounds: quick ? 20 : 100 }),
  ],
  [
    ['rate_vs_spawn', 'rate_vs_websocketd', 'rate_vs_webhook'],
    () => measureRates(agent, peers, quick ? { rounds: 2, seconds: 1.5 } : { rounds: 6, seconds: 3 }),
  ],
  [
    ['output_vs_ssh', 'output_bash_only'],
    () => measureOutput(place, { agent, peers, ...(quick ? { rounds: 3, mebibytes: 64 } : { rounds: 7, mebibytes: 256 }) }),
  ],
  [['flat_scripts'], async () => [await measureScripts(place, quick ? 1000 : 10_000, quick ? 100 : 400)]],
  [['flat_journal'], async () => [await measureJournal(place, quick ? 100_000 : 1_000_000, quick ? 100 : 400)]],
];

await measure(wanted);
if (values.guard !== undefined) {
  const recorded = readRecorded(values.guard);
  const worse = (): RowName[] => [...results.values()].filter((result) => isWorse(result, recorded)).map(({ name }) => name);
  for (let tries = 1; tries < TRIES && worse().length > 0; tries += 1) {
    console.error(`once more, because they seem worse: ${worse().join(', ')}`);
    await measure(worse());
  }
  process.exitCode = printVerdicts(recorded, results, wanted) ? 0 : 1;
} else if (values.json === true) {
  console.log(JSON.stringify(Object.fromEntries([...results.values()].map(({ name, value }) => [name, Number(value.toFixed(3))]))));
} else {
  console.log(`\n${tableOf([...results.values()])}`);
}
if (values.record === true) record([...results.values()]);

/** A row that is measured again keeps its better figure. */
async function measure(names: readonly RowName[]): Promise<void> {
  for (const [members, work] of groups) {
    if (!members.some((name) => names.includes(name))) continue;
    const measured = await work();
    for (const name of members.filter((member) => wanted.includes(member))) {
      const result = measured.find((candidate) => candidate.name === name);
      const before = results.get(name);
      if (result !== undefined) results.set(name, before === undefined ? result : betterOf(before, result));
      printResult(name, result);
    }
  }
}

/** A call of `true` through a sidecar, as bash code. */
async function startSidecar(): Promise<string> {
  const started = await new Sidecar(agent, 'sidecar').start();
  place.atEnd(() => started.stop());
  const { code, stdout, stderr } = await mediatorAgent([
    ...['stub', '--config', started.config, '--url', started.url, '--plaintext', '--script', 'true'],
  ]);
  if (code !== 0) throw new Error(stderr);
  const file = path.join(place.folder, 'sidecar.sh');
  writeFileSync(file, stdout, { mode: 0o700 });
  return `bash ${file}`;
}

/** As an operator has it, but for the one limit that 500 runs at once need. */
async function startBenchAgent(): Promise<TestAgent> {
  const made = await prepareReleased({ settings: { limits: { concurrency: 512 } } });
  place.atEnd(() => made.close());
  await made.start();
  return made;
}
