/** `npm run chaos`: many invocations, many faults, and nothing may be lost. README.md says what is counted. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { commandOf } from '../helpers/processes.ts';
import { Host, type Seen } from './host.ts';
import { FAULTS, judge, type Evidence, type Fault, type Finding } from './judge.ts';
import { EVERY_CUT, POOL, cutAt, disasterAt, invocationAt, type Invocation } from './schedule.ts';
import { World } from './world.ts';

/** Stubs at once. */
const HOSTS = 12;
/** After so many invocations everything is compared; what is compared is forgotten. */
const ROUND = 1000;
/** As many as `runs list` gives: runs of a clock that was ahead stay newer than those of later rounds. */
const LISTED = 10_000;
/** So many findings are described. */
const DESCRIBED = 40;
const INSIDE = 'MEDIATOR_CHAOS_INSIDE';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '1000' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    minutes: { type: 'string', default: '0' },
    'every-byte': { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
/** Instead of chance: a short call cut at each of its bytes. */
const everyByte = values['every-byte'];
const runs = everyByte ? EVERY_CUT.length : wholeNumber('runs', values.runs);
const minutes = wholeNumber('minutes', values.minutes);

if (process.getuid?.() === 0 && process.env[INSIDE] === undefined) {
  // Mounts of our own, which nobody else sees and which end with us.
  const inside = ['--mount', '--', process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const ended = spawnSync('unshare', inside, {
    stdio: 'inherit',
    env: { ...process.env, [INSIDE]: '1', MEDIATOR_CHAOS_SEED: values.seed },
  });
  process.exitCode = ended.status ?? 1;
} else {
  process.exitCode = await chaos(process.env.MEDIATOR_CHAOS_SEED ?? values.seed);
}

async function chaos(seed: string): Promise<number> {
  say(`chaos: ${runs} runs, seed ${seed}${minutes === 0 ? '' : `, at most ${minutes} minutes`}`);
  const began = performance.now();
  const pool = poolOf(seed);
  const world = await World.start(pool, process.getuid?.() === 0);
  const counts = new Map<string, number>();
  const count = (what: string): void => void counts.set(what, (counts.get(what) ?? 0) + 1);
  const findings: (Finding & { id: string })[] = [];
  const find = (id: string, finding: Finding): void => {
    findings.push({ id, ...finding });
    if (findings.length <= DESCRIBED) say(`FAIL  ${finding.fault}  ${id}: ${finding.what}`);
  };
  const parts = { stubs: await world.stubs(), home: world.agent.dir, pool, onFault: (kind: string) => count(`fault ${kind}`) };
  const hosts = await Promise.all(Array.from({ length: HOSTS }, () => Host.open(world.ports, parts)));
  let next = 0;
  let ended = 0;
  let rows = 0;

  const isTime = (): boolean => minutes === 0 || performance.now() - began < minutes * 60_000;
  const callOn = async (host: Host, end: number, called: Map<string, { plan: Invocation; seen: Seen }>): Promise<void> => {
    while (next < end && isTime()) {
      const index = next++;
      const disaster = everyByte ? undefined : disasterAt(seed, index);
      if (disaster !== undefined && (disaster.kind !== 'disk-full' || world.can.disk) && (disaster.kind !== 'clock' || world.can.clock)) {
        count(`fault ${disaster.kind}`);
        world.strike(disaster);
      }
      const plan = everyByte ? cutAt(seed, index) : invocationAt(seed, index);
      if (!plan.impatient && disaster === undefined) await world.whole;
      called.set(plan.id, { plan, seen: await host.call(plan) });
      if (++ended % 100 === 0) say(`${ended} runs, ${Math.round((performance.now() - began) / 1000)} s, ${findings.length} findings`);
    }
  };

  try {
    while (next < runs && isTime()) {
      const called = new Map<string, { plan: Invocation; seen: Seen }>();
      const end = Math.min(runs, next + ROUND);
      await Promise.all(hosts.map((host) => callOn(host, end, called)));
      rows += await compare(called);
    }
    for (const pid of await world.stop()) find('', { fault: 'orphans', what: `${pid} ${commandOf(pid)}` });
  } catch (error) {
    say(`the agent did not come back or did not answer: ${error instanceof Error ? (error.stack ?? '') : String(error)}`);
    say(world.agent.stderr.slice(-2000));
    find('', { fault: 'lost', what: 'the agent' });
  } finally {
    if (findings.length > 0) keepLog();
    for (const host of hosts) host.close();
    world.remove();
  }
  return report();

  /** Compares everything of a round; resolves with the number of its runs in the journal. */
  async function compare(called: Map<string, { plan: Invocation; seen: Seen }>): Promise<number> {
    const all = await world.settled(LISTED, () => hosts.every((host) => host.quiet));
    const known = new Set(all.map(({ id }) => id));
    const ledgers = world.takeLedgers();
    const byEvent = Map.groupBy(all, ({ event }) => event);
    for (const [id, { plan, seen }] of called) {
      const evidence = { plan, seen, ledger: ledgers.get(id) ?? [], rows: byEvent.get(id) ?? [], known, troubles: world.troubles, pool };
      const found = judge({ ...evidence, spooled: (run, stream) => world.spooled(run, stream) });
      for (const finding of found) find(id, finding);
      if (found.length > 0 && findings.length <= DESCRIBED) describe(evidence);
      count(`code ${seen.code ?? 'none'}`);
      count(`outcome ${evidence.rows[0]?.outcome ?? 'none'}`);
    }
    for (const pid of await world.orphans()) {
      find('', { fault: 'orphans', what: `${pid} ${commandOf(pid)}` });
      process.kill(pid, 'SIGKILL');
    }
    const mine = all.filter(({ event }) => called.has(event)).length;
    const { runs: verified, mismatches } = await world.verify();
    for (const what of mismatches) find('', { fault: 'wrong_bytes', what: `runs verify: ${what}` });
    if (verified !== rows + mine)
      find('', { fault: 'lost', what: `the journal has ${verified} runs that have ended, and had ${rows} + ${mine}` });
    return mine;
  }

  function describe({ plan, seen, ledger, rows: [row], troubles }: Omit<Evidence, 'spooled'>): void {
    const { stdout, stderr, ...rest } = seen;
    const words = stderr
      .subarray(-300)
      .toString('latin1')
      .replace(/[^\x20-\x7e\n]/g, '?');
    const near = troubles.filter(({ from, to }) => from < seen.to && to > seen.from);
    say(JSON.stringify({ plan, seen: { ...rest, stdout: stdout.length, stderr: stderr.length, words }, ledger, row, near }));
  }

  function keepLog(): void {
    const file = path.join(tmpdir(), `mediator-chaos-${process.pid}.log`);
    writeFileSync(
      file,
      `${world.agent
        .logSoFar()
        .map((line) => JSON.stringify(line))
        .join('\n')}\n${world.agent.stderr}`,
    );
    say(`the agent's log: ${file}`);
  }

  function report(): number {
    const totals = Object.fromEntries(FAULTS.map((fault) => [fault, countOf(findings, fault)]));
    const failed = findings.length;
    const seconds = Math.round((performance.now() - began) / 1000);
    const group = (prefix: string): Record<string, number> =>
      Object.fromEntries(
        [...counts].sort().flatMap(([kind, number]) => (kind.startsWith(prefix) ? [[kind.slice(prefix.length), number]] : [])),
      );
    const [injected, outcomes, codes] = [group('fault '), group('outcome '), group('code ')];
    if (values.json) {
      process.stdout.write(`${JSON.stringify({ seed, runs: next, seconds, injected, outcomes, codes, ...totals })}\n`);
    } else {
      const line = (of: Record<string, number>): string =>
        Object.entries(of)
          .map(([name, number]) => `${name} ${number}`)
          .join(', ');
      process.stdout.write(
        `seed      ${seed}\nruns      ${next} in ${seconds} s\noutcomes  ${line(outcomes)}\ncodes     ${line(codes)}\ninjected  ${line(injected)}\n`,
      );
      process.stdout.write(`found     ${line(totals)}\n`);
    }
    if (failed > 0) say(`again: npm run chaos -- ${everyByte ? '--every-byte' : `--runs ${next}`} --seed ${seed}`);
    const missing = [world.can.disk ? '' : 'disk full (needs root)', world.can.clock ? '' : 'clock jumps (need libfaketime)'].filter(
      Boolean,
    );
    for (const what of missing) say(`skipped: ${what}`);
    if (!values.json) process.stdout.write(`${failed === 0 ? next : next - 1} passed, ${failed} failed, ${missing.length} skipped\n`);
    return failed === 0 ? 0 : 1;
  }
}

function countOf(findings: Finding[], fault: Fault): number {
  return findings.filter((finding) => finding.fault === fault).length;
}

/** Bytes of every kind, NUL and text among them. */
function poolOf(seed: string): Buffer {
  const parts: Buffer[] = [];
  for (let size = 0, index = 0; size < POOL; index += 1) {
    const digest = createHash('sha512').update(`${seed}/${index}`).digest();
    const part = index % 7 === 0 ? Buffer.alloc(digest[0] ?? 0) : index % 3 === 0 ? Buffer.from(`${digest.toString('base64')}\n`) : digest;
    parts.push(part);
    size += part.length;
  }
  return Buffer.concat(parts).subarray(0, POOL);
}

function wholeNumber(name: string, text: string): number {
  if (!/^\d{1,7}$/.test(text)) throw new Error(`--${name} ${text} is not a number`);
  return Number(text);
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
