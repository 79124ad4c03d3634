/** A sidecar in a folder of its own: a front without a runner, on loopback without TLS, that passes calls on to an agent. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { stringify } from 'yaml';
import type { AgentKey, TestAgent } from '../helpers/agent.ts';
import { writeToken } from '../../agent/admin/token.ts';
import { AGENT_ENV, mediatorAgent } from '../helpers/command.ts';
import { soon, until } from '../helpers/wait.ts';
import { Stub } from './stubs.ts';

/** The key of the stubs of the pod. The agent does not know it. */
export const POD_KEY = { id: 'pod', secret: 'p'.repeat(43), scripts: ['**'] };

export interface SidecarOptions {
  /** Its own key at the agent; by default the one that `init` made. */
  key?: AgentKey;
  /** A file that stands in for the agent's certificate. */
  ca?: string;
  /** Globs of what the stubs of the pod may call. */
  scripts?: string[];
  url?: string;
}

export class Sidecar {
  readonly dir: string;
  readonly config: string;
  readonly #program: string;
  #process: ChildProcess | undefined;
  #stderr = '';
  url = '';
  /** Of its admin listener. */
  #admin = '';

  /** Its folder is below that of the agent, and goes with it. */
  constructor(
    agent: TestAgent,
    name: string,
    { key = agent.key, ca = path.join(agent.dir, 'tls/cert.pem'), scripts = ['**'], url }: SidecarOptions = {},
  ) {
    this.#program = agent.program;
    this.dir = path.join(agent.dir, name);
    this.config = path.join(this.dir, 'agent.yaml');
    mkdirSync(this.dir, { mode: 0o700 });
    copyFileSync(ca, path.join(this.dir, 'agent.pem'));
    writeFileSync(path.join(this.dir, 'upstream.key'), `${key.id}:${key.secret}\n`, { mode: 0o600 });
    writeFileSync(path.join(this.dir, 'keys.yaml'), stringify({ keys: [{ ...POD_KEY, scripts }] }), { mode: 0o600 });
    writeToken(path.join(this.dir, 'admin-token'));
    const admin = { listen: '127.0.0.1:0', 'token-file': 'admin-token' };
    const upstream = { url: url ?? agent.urls.wss, key: 'upstream.key', ca: 'agent.pem' };
    writeFileSync(this.config, stringify({ names: ['127.0.0.1'], listen: { plaintext: ['127.0.0.1:0'] }, admin, upstream }));
  }

  async start(): Promise<this> {
    const child = spawn(process.execPath, [this.#program, 'front', '--config', this.config], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ...AGENT_ENV },
    });
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (this.#stderr += chunk));
    this.#process = child;
    const { url = '', admin = '' } = await until('the sidecar is ready', () => {
      assert.equal(child.exitCode, null, this.#stderr);
      return /^ready (?<url>ws:\S+) (?<admin>http:\S+)$/m.exec(this.#stderr)?.groups;
    });
    this.url = url;
    this.#admin = admin;
    return this;
  }

  /** How many connections to the agent it says that it has ready. */
  async kept(): Promise<number> {
    const metrics = await (await fetch(`${this.#admin}/metrics`)).text();
    return Number(/^mediator_connections_ready (\d+)$/m.exec(metrics)?.[1]);
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = this.#process;
    if (child?.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    await soon('the end of the sidecar', once(child, 'exit'));
  }

  /** A stub of the pod, printed by the sidecar's own configuration. */
  async stub(...options: string[]): Promise<Stub> {
    const made = await mediatorAgent(['stub', '--config', this.config, '--url', this.url, ...options]);
    assert.equal(made.code, 0, made.stderr);
    const file = path.join(this.dir, 'mediator.sh');
    writeFileSync(file, made.stdout, { mode: 0o755 });
    return new Stub(file, this.dir);
  }
}
