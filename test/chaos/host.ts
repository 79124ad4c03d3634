/** Plays the host: calls a real stub once, as the plan says, and notes what came of it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { Proxy } from './proxy.ts';
import { SILENCE, type Invocation, type Mishap } from './schedule.ts';

/** Longer than any stub may take: it gives up a lost connection after 60 s. Then something hangs, and that is a fault of its own. Milliseconds. */
const PATIENCE = 240_000;

/** What a host saw of its call. Times are monotonic milliseconds. */
export interface Seen {
  from: number;
  to: number;
  /** Null: a signal ended the stub. */
  code: number | null;
  stdout: Buffer;
  stderr: Buffer;
  /** Its own faults that came about: of its connections, or of its stub. */
  suffered: string[];
  /** Ids of runs that the agent accepted, where the connection could be read. */
  accepted: string[];
  hung: boolean;
}

export interface HostParts {
  /** By transport. */
  stubs: Record<Invocation['transport'], string>;
  /** The folder that all processes of the stub name. */
  home: string;
  pool: Buffer;
  onFault: (kind: string) => void;
}

export class Host {
  readonly #parts: HostParts;
  readonly #proxies: { plaintext: Proxy; tls: Proxy };

  static async open(ports: { plaintext: number; tls: number }, parts: HostParts): Promise<Host> {
    return new Host(parts, { plaintext: await Proxy.open(ports.plaintext), tls: await Proxy.open(ports.tls) });
  }

  private constructor(parts: HostParts, proxies: { plaintext: Proxy; tls: Proxy }) {
    this.#parts = parts;
    this.#proxies = proxies;
  }

  async call(plan: Invocation): Promise<Seen> {
    const { stubs, home, pool } = this.#parts;
    const suffered: string[] = [];
    const accepted: string[] = [];
    const suffer = (kind: string): void => {
      suffered.push(kind);
      this.#parts.onFault(kind);
    };
    const proxy = plan.transport === 'tcp' ? this.#proxies.plaintext : this.#proxies.tls;
    const url = `${plan.transport === 'tcp' ? 'ws' : 'wss'}://127.0.0.1:${proxy.port}`;
    proxy.plan(
      plan.mishaps,
      (kind: Mishap['kind']) => suffer(kind),
      (run) => accepted.push(run),
    );
    const from = performance.now();
    const child = spawn('/bin/bash', [stubs[plan.transport], plan.script, ...argumentsOf(plan)], {
      cwd: '/',
      env: {
        ...{ PATH: '/usr/local/bin:/usr/bin:/bin', HOME: home, SCW_EVENT: plan.id },
        ...{ MEDIATOR_URL: url, MEDIATOR_TRANSPORT: plan.transport, MEDIATOR_SILENCE: String(SILENCE) },
      },
    });
    const closed = once(child, 'close');
    let hung = false;
    const impatient = setTimeout(() => {
      hung = true;
      child.kill('SIGKILL');
    }, PATIENCE);
    const { signal } = plan;
    const killer =
      signal &&
      setTimeout(() => {
        if (child.kill(signal.name)) suffer(signal.name === 'SIGKILL' ? 'kill-stub' : 'end-stub');
      }, signal.after);
    child.stdin.on('error', () => undefined); // it may end without having read its stdin
    child.stdin.end(pool.subarray(plan.stdin.at, plan.stdin.at + plan.stdin.size));
    const output = Promise.all([collect(child.stdout, plan.slow), collect(child.stderr, undefined)]);
    if (plan.slow !== undefined) this.#parts.onFault('slow-reader');
    const [stdout, stderr] = await output;
    await closed;
    clearTimeout(impatient);
    clearTimeout(killer);
    return { from, to: performance.now(), code: child.exitCode, stdout, stderr, suffered, accepted, hung };
  }

  /** Whether nothing of its calls is on its way any more. */
  get quiet(): boolean {
    return this.#proxies.plaintext.quiet && this.#proxies.tls.quiet;
  }

  close(): void {
    this.#proxies.plaintext.close();
    this.#proxies.tls.close();
  }
}

function argumentsOf({ id, stdout, stderr, parts, pause, code, bait, stubborn, script }: Invocation): string[] {
  return [id, ...[stdout.at, stdout.size, stderr.at, stderr.size, parts, pause, code, +bait, +stubborn, +(script === 'hang')].map(String)];
}

async function collect(stream: Readable, slow: Invocation['slow']): Promise<Buffer> {
  const chunks: Buffer[] = [];
  stream.on('readable', () => undefined); // otherwise Node throws away what nobody has read when the stub ends
  if (slow !== undefined) await delay(slow.first);
  for await (const chunk of stream) {
    chunks.push(Buffer.from(z.instanceof(Uint8Array).parse(chunk)));
    if (slow !== undefined) await delay(slow.every);
  }
  return Buffer.concat(chunks);
}
