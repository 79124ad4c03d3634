/** What all cases share: a real agent on the host's address, its scripts with their ledger, stubs for it, a file of lines. */
import assert from 'node:assert/strict';
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { TestAgent } from '../helpers/agent.ts';
import { mediatorAgent, runCommand } from '../helpers/command.ts';
import { newFolder } from '../helpers/folder.ts';
import type { Target } from './cutter.ts';
import { HOST, HOST_NAME } from './network.ts';
import type { Identity } from './strangers.ts';

export const BULK_SIZE = 100 * 1024 * 1024;
const LINE = 'A line as scripts print it: 2026-11-01T12:00:00Z rule 4711 was changed by ünïcode, 100 bytes long,\n';

const CANCELLABLE = { manifest: 'on-caller-loss: kill\n' };
const MANIFESTS: Partial<Record<string, { manifest: string }>> = {
  drop: CANCELLABLE,
  pour: CANCELLABLE,
  'vanish-drop': CANCELLABLE,
  'vanish-pour': CANCELLABLE,
};

export class World {
  readonly folder: string;
  readonly agent: TestAgent;
  /** The same, but that it demands client certificates; a pod has a right one as /stub/client.pem, and another one as /stub/other.pem. */
  readonly guarded: TestAgent;
  /** The folder that pods see as /stub. */
  readonly stubs: string;
  /** BULK_SIZE bytes of text. */
  readonly bulk: Buffer;
  /** What is worth a line below the table. */
  readonly remarks: string[] = [];
  readonly #expected = new Map<string, number>();
  #calls = 0;

  static async open(): Promise<World> {
    const folder = newFolder();
    const dir = path.join(folder, 'agent');
    const made = await mediatorAgent([
      ...['init', '--dir', dir, '--listen', `${HOST}:0`, '--plaintext', `${HOST}:0`, '--name', HOST_NAME, '--name', HOST],
    ]);
    assert.equal(made.code, 0, made.stderr);
    const guarded = path.join(folder, 'guarded');
    cpSync(dir, guarded, { recursive: true, preserveTimestamps: true });
    const world = new World(folder, new TestAgent(dir), new TestAgent(guarded));
    await world.agent.start();
    await world.#makeStubs();
    for (const name of ['client', 'other']) await world.#makeIdentity(path.join(world.stubs, name));
    world.guarded.configure({ tls: { certificate: 'tls/cert.pem', key: 'tls/key.pem', clients: path.join(world.stubs, 'client.pem') } });
    await world.guarded.start();
    return world;
  }

  constructor(folder: string, agent: TestAgent, guarded: TestAgent) {
    this.folder = folder;
    this.agent = agent;
    this.guarded = guarded;
    this.stubs = path.join(folder, 'stubs');
    this.bulk = Buffer.alloc(BULK_SIZE, LINE);
    writeFileSync(path.join(folder, 'bulk'), this.bulk);
    for (const each of [agent, guarded]) {
      for (const name of readdirSync(each.scripts)) rmSync(path.join(each.scripts, name), { recursive: true });
      each.configure({ settle: '0ms' });
      this.#writeScripts(each);
    }
  }

  /** Where the agent takes calls of this kind. */
  door(scheme: 'ws' | 'wss'): Target {
    return { host: HOST, port: Number(new URL(this.agent.urls[scheme]).port) };
  }

  /** Who a stranger would have to be for a stub to speak to it at all. */
  get identity(): Identity {
    return { cert: this.agent.certificate, key: readFileSync(path.join(this.agent.dir, 'tls/key.pem'), 'utf8') };
  }

  /** Somebody else, who says to be the agent: the names are the same, the key is not. */
  get otherIdentity(): Identity {
    return {
      cert: readFileSync(path.join(this.stubs, 'other.pem'), 'utf8'),
      key: readFileSync(path.join(this.stubs, 'other.key'), 'utf8'),
    };
  }

  /** A word that no other call has, for the ledger. */
  newCall(): string {
    this.#calls += 1;
    return `call-${this.#calls}`;
  }

  /** The script was started so often for a call, by its own account: now, and still in the end. */
  expectStarts(call: string, count: number, what = ''): void {
    this.#expected.set(call, count);
    assert.equal(this.#starts().filter((line) => line === call).length, count, `starts of the script ${what}`);
  }

  hasStarted(call: string): boolean {
    return this.#starts().includes(call);
  }

  /** Everything that was expected of the ledger still holds: nothing was started late. @returns how many calls that were */
  audit(): number {
    const starts = Map.groupBy(this.#starts(), (call) => call);
    for (const [call, count] of this.#expected) assert.equal(starts.get(call)?.length ?? 0, count, `starts of the script, ${call}`);
    return this.#expected.size;
  }

  async close(): Promise<void> {
    try {
      await this.guarded.stop();
      await this.agent.close();
    } finally {
      rmSync(this.folder, { recursive: true, force: true });
    }
  }

  #starts(): string[] {
    const ledger = path.join(this.folder, 'ledger');
    return existsSync(ledger) ? readFileSync(ledger, 'utf8').split('\n') : [];
  }

  /** Makes FILE.pem and FILE.key, for the names of the agent. */
  async #makeIdentity(file: string): Promise<void> {
    const made = await runCommand('openssl', [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc', '-days', '2', '-subj', `/CN=${HOST_NAME}`],
      ...['-addext', `subjectAltName=DNS:${HOST_NAME},IP:${HOST}`, '-keyout', `${file}.key`, '-out', `${file}.pem`],
    ]);
    assert.equal(made.code, 0, made.stderr);
    chmodSync(`${file}.key`, 0o644); // the user of a pod is nobody whom this machine knows
  }

  #writeScripts(agent: TestAgent): void {
    const ledger = `echo "$1" >>${this.folder}/ledger`;
    const scripts: Record<string, string> = {
      small: `printf '<%s>' "$@"; printf '|%s|%s|' "$SCW_EVENT" "$UNRELATED"; cat; echo warning >&2; exit 7`,
      mirror: 'exec cat',
      bulk: `exec cat ${this.folder}/bulk`,
      // work CALL BYTES: so many bytes of text, a part of them late, and a word on stderr.
      work: `${ledger}; head -c "$2" ${this.folder}/bulk; echo done >&2; exit 3`,
      // count CALL: how much stdin came
      count: `${ledger}; wc -c`,
      // silent CALL SECONDS
      silent: `${ledger}; echo before; sleep "$2"; echo after; exit 4`,
      // drop CALL: goes on until it is cancelled
      drop: `${ledger}; exec sleep 600`,
      // pour CALL: prints until it is cancelled
      pour: `${ledger}; while :; do echo line; sleep 0.05; done`,
      // await CALL: goes on once the file of that name is there
      await: `${ledger}; echo before; until [ -e ${this.folder}/"$1" ]; do sleep 0.05; done; echo after; exit 4`,
    };
    for (const name of ['drop', 'pour', 'await']) scripts[`vanish-${name}`] = scripts[name] ?? ''; // for cases beside which others go on
    for (const [name, source] of Object.entries(scripts)) agent.script(name, `#!/bin/sh\n${source}\n`, MANIFESTS[name]);
  }

  async #makeStubs(): Promise<void> {
    const { wss, ws } = this.agent.urls;
    const tls = await this.#printStub(['--url', wss]);
    this.#writeStub('tls', tls);
    this.#writeStub('store', tls.replace(/^BAKED_CA='[^']*'/m, "BAKED_CA=''"));
    this.#writeStub('plaintext', await this.#printStub(['--url', ws, '--plaintext']));
    writeFileSync(path.join(this.stubs, 'authority.pem'), this.agent.certificate, { mode: 0o644 });
  }

  async #printStub(options: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.agent.command(['stub'], options);
    assert.equal(code, 0, stderr);
    return stdout;
  }

  #writeStub(folder: string, text: string): void {
    mkdirSync(path.join(this.stubs, folder), { recursive: true, mode: 0o755 });
    writeFileSync(path.join(this.stubs, folder, 'mediator.sh'), text, { mode: 0o755 });
  }
}
