/** The agent under chaos: a real `serve`, its state on a disk of its own, its clock in our hand, and the disasters that befall it. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { freePort, isListening } from '../e2e/ports.ts';
import { makeStub } from '../e2e/stubs.ts';
import { prepareAgent, type TestAgent } from '../helpers/agent.ts';
import { newFolder } from '../helpers/folder.ts';
import { isAlive, processesNaming } from '../helpers/processes.ts';
import type { Disaster, Invocation } from './schedule.ts';
import { ledgerScript } from './script.ts';

const FAKETIME = ['x86_64', 'aarch64']
  .map((machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketime.so.1`)
  .find((file) => existsSync(file));
/** libfaketime looks once a second. What befell the agent may still be felt so long after it: milliseconds. */
const AFTERMATH = 3000;
/** What does not come back within so many milliseconds stays away. */
const RETURN = 90_000;
const DISK = '4g';
/**
 * The agent is idle when so many looks in a row, 50 ms apart, found nothing that goes on: for longer than the 2 s after which the runner writes down
 * again what met a full disk.
 */
const LOOKS = 60;

/** From when to when something could be felt: monotonic milliseconds. */
export interface Trouble {
  kind: Disaster['kind'];
  from: number;
  to: number;
}

/** A run as `runs list --json` shows it. */
const Row = z.object({
  id: z.string(),
  event: z.string(),
  outcome: z.string().nullable(),
  code: z.number().nullable(),
  stdin: z.number(),
  stdout: z.number(),
  stderr: z.number(),
  message: z.string(),
});
export type Row = z.output<typeof Row>;

const Verified = z.object({ runs: z.number(), mismatches: z.number() });
const Mismatch = z.object({ run: z.string(), what: z.string(), message: z.string() });

export class World {
  readonly agent: TestAgent;
  readonly ports: { plaintext: number; tls: number };
  readonly troubles: Trouble[] = [];
  readonly can: { disk: boolean; clock: boolean };
  readonly #ledgers: string;
  readonly #outside: string;
  #whole: Promise<void> = Promise.resolve();

  /** @param disk whether we may mount: the state is then on a disk of its own, which can be full */
  static async start(pool: Buffer, disk: boolean): Promise<World> {
    const outside = newFolder();
    const clock = path.join(outside, 'clock');
    writeFileSync(clock, '+0s\n');
    const ports = { plaintext: await freePort(), tls: await freePort() };
    const agent = await prepareAgent({
      settings: {
        listen: { tls: [`127.0.0.1:${ports.tls}`], plaintext: [`127.0.0.1:${ports.plaintext}`] },
        defaults: { grace: '300ms', timeout: '120s' },
        'resume-window': '10s',
        drain: '60s',
        limits: { concurrency: 16, queue: 1000 },
      },
      env:
        FAKETIME === undefined
          ? {}
          : {
              LD_PRELOAD: FAKETIME,
              FAKETIME_TIMESTAMP_FILE: clock,
              FAKETIME_CACHE_DURATION: '1',
              FAKETIME_DONT_FAKE_MONOTONIC: '1',
              NO_FAKE_STAT: '1',
            },
    });
    const world = new World(agent, ports, outside, { disk, clock: FAKETIME !== undefined });
    world.#furnish(pool);
    await agent.start();
    return world;
  }

  private constructor(agent: TestAgent, ports: World['ports'], outside: string, can: World['can']) {
    this.agent = agent;
    this.ports = ports;
    this.can = can;
    this.#outside = outside;
    this.#ledgers = path.join(outside, 'ledgers');
  }

  #furnish(pool: Buffer): void {
    const { agent } = this;
    mkdirSync(this.#ledgers);
    mkdirSync(agent.state, { recursive: true, mode: 0o700 });
    if (this.can.disk) execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK},mode=700`, 'chaos', agent.state]);
    const file = path.join(this.#outside, 'pool');
    writeFileSync(file, pool);
    const script = ledgerScript(this.#ledgers, file);
    agent.script('plain.pl', script);
    agent.script('hang.pl', script, { manifest: 'timeout: 2s\n' });
    agent.script('kill.pl', script, { manifest: 'on-caller-loss: kill\n' });
  }

  /** One for each transport. */
  async stubs(): Promise<Record<Invocation['transport'], string>> {
    const plain = await makeStub(this.agent, { url: 'ws', name: 'plaintext/mediator.sh' });
    const tls = await makeStub(this.agent, { url: 'wss', name: 'tls/mediator.sh' });
    return { tcp: plain.file, openssl: tls.file, curl: tls.file };
  }

  /** Resolves when nothing that befell the agent goes on any more. */
  get whole(): Promise<void> {
    return this.#whole;
  }

  /** Strikes after what goes on already. */
  strike(disaster: Disaster): void {
    this.#whole = this.#whole.then(async () => {
      const trouble = { kind: disaster.kind, from: performance.now(), to: Infinity };
      this.troubles.push(trouble);
      await this.#befall(disaster);
      trouble.to = performance.now() + AFTERMATH;
    });
  }

  async #befall(disaster: Disaster): Promise<void> {
    switch (disaster.kind) {
      case 'kill-front':
        await this.#kill('front', async () => (await isListening(this.ports.plaintext)) && isListening(this.ports.tls));
        return;
      case 'kill-runner':
        await this.#kill('runner', () => this.agent.api('/healthz').then(({ status }) => status === 200));
        return;
      case 'disk-full':
        this.#fillDisk();
        await delay(disaster.lasts);
        this.#resizeDisk(DISK);
        return;
      case 'clock':
        this.#setClock(disaster.jump);
        await delay(disaster.lasts);
        this.#setClock(0);
        await delay(1100);
    }
  }

  async #kill(part: 'front' | 'runner', isBack: () => Promise<boolean>): Promise<void> {
    const old = this.agent.part(part);
    if (old === undefined) throw new Error(`there is no ${part}`);
    process.kill(old, 'SIGKILL');
    await eventually(`another ${part}`, async () => (this.agent.part(part) ?? old) !== old && (await isBack().catch(() => false)));
  }

  /** Leaves no room beyond what is used. */
  #fillDisk(): void {
    for (let spare = 0; ; spare += 64 * 1024) {
      const { blocks, bfree, bsize } = statfsSync(this.agent.state);
      try {
        this.#resizeDisk(String((blocks - bfree) * bsize + spare));
        return;
      } catch (error) {
        if (spare > 1024 ** 2) throw error; // it grows faster than we are
      }
    }
  }

  #resizeDisk(size: string): void {
    execFileSync('mount', ['-o', `remount,size=${size}`, this.agent.state], { stdio: 'pipe' });
  }

  #setClock(seconds: number): void {
    writeFileSync(path.join(this.#outside, 'clock'), `${seconds < 0 ? '' : '+'}${seconds}s\n`);
  }

  /**
   * Waits until no run goes on and none begins any more: a stub that was killed may have sent all of a request. Returns the journal's newest rows.
   * @param isQuiet whether nothing of a request is on its way
   */
  async settled(limit: number, isQuiet: () => boolean): Promise<Row[]> {
    await this.whole;
    let idle = 0;
    await eventually('the end of all runs', async () => {
      const { body } = await this.agent.api('/healthz');
      const { running, queued } = z.looseObject({ running: z.number(), queued: z.number() }).parse(body);
      idle = running + queued === 0 && isQuiet() ? idle + 1 : 0;
      return idle === LOOKS;
    });
    const listed = await this.agent.command(['runs', 'list'], ['--json', '--limit', String(limit)]);
    if (listed.code !== 0) throw new Error(listed.stderr);
    return jsonLines(listed.stdout).map((row) => Row.parse(row));
  }

  /** What `runs verify` says: how many runs have ended, and what is not as it was written. */
  async verify(): Promise<{ runs: number; mismatches: string[] }> {
    const { stdout, stderr } = await this.agent.command(['runs', 'verify'], ['--json']);
    const lines = jsonLines(stdout);
    const result = Verified.safeParse(lines.pop());
    if (!result.success) throw new Error(`runs verify: ${stderr}`);
    return {
      runs: result.data.runs,
      mismatches: lines.map((line) => Mismatch.parse(line)).map(({ run, what, message }) => `${run} ${what}: ${message}`),
    };
  }

  /** What is kept of a run's stream; empty if nothing is. */
  spooled(run: string, stream: 'stdout' | 'stderr'): Buffer {
    const file = this.agent.spoolFile(run, stream);
    return existsSync(file) ? readFileSync(file) : Buffer.alloc(0);
  }

  /** The lines of each ledger, by invocation. Read once. */
  takeLedgers(): Map<string, string[]> {
    const ledgers = new Map<string, string[]>();
    for (const name of readdirSync(this.#ledgers)) {
      const file = path.join(this.#ledgers, name);
      ledgers.set(name, readFileSync(file, 'utf8').split('\n').slice(0, -1));
    }
    return ledgers;
  }

  /** Processes of runs that have ended, or of stubs. They get a moment: what was killed has to be reaped. */
  async orphans(): Promise<number[]> {
    const parts = new Set([this.agent.pid, this.agent.part('front'), this.agent.part('runner'), this.agent.part('keeper')]);
    let left: number[] = [];
    for (let tries = 0; tries < 100; tries += 1) {
      left = processesNaming(this.agent.dir).filter((pid) => !parts.has(pid) && isAlive(pid));
      if (left.length === 0) break;
      await delay(100);
    }
    return left;
  }

  /** Ends the agent in order; resolves with what it left behind. */
  async stop(): Promise<number[]> {
    await this.agent.stop();
    const left = processesNaming(this.agent.dir).filter(isAlive);
    return left;
  }

  remove(): void {
    for (const pid of processesNaming(this.agent.dir)) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // gone in the meantime
      }
    }
    if (this.can.disk) execFileSync('umount', ['--lazy', this.agent.state]);
    this.agent.remove();
    rmSync(this.#outside, { recursive: true, force: true });
  }
}

async function eventually(what: string, probe: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + RETURN;
  while (!(await probe())) {
    if (performance.now() > deadline) throw new Error(`waited ${RETURN} ms in vain: ${what}`);
    await delay(50);
  }
}

function jsonLines(text: string): unknown[] {
  return text
    .split('\n')
    .filter(Boolean)
    .map((line): unknown => JSON.parse(line));
}
