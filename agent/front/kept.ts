/**
 * What a sidecar has ready: open connections to the agent, each for one call that is still to come, so that a call costs one round trip and no
 * handshake. A connection is handed out once, and never comes back. One that broke is noticed by its close or by its silence, and is not handed out.
 */
import { isDeepStrictEqual } from 'node:util';
import { INTERVALS, PATIENCE } from '../../protocol/constants.ts';
import type { Connection } from '../wire/connection.ts';
import { dialAgent, type RemoteAgent } from '../wire/dial-agent.ts';

/** Each of them costs the agent one of `limits.connections`. SecureChange makes up to five calls at once. */
const KEPT = 5;
/** Nothing is opened ahead while calls come faster: they need the processor themselves. Milliseconds. */
const LULL = 100;
/** A call that begins so shortly before the agent's patience ends would be too late. Milliseconds. */
const MARGIN = 30_000;

interface Kept {
  connection: Connection;
  /** That end its being kept. */
  timers: NodeJS.Timeout[];
}

export class KeptConnections {
  readonly #ready: Kept[] = [];
  #remote: RemoteAgent | undefined;
  #refill: NodeJS.Timeout | undefined;
  #filling = false;

  /** @throws Failure */
  async take(remote: RemoteAgent): Promise<Connection> {
    if (!isDeepStrictEqual(remote, this.#remote)) {
      this.close(); // agent.yaml, the key or the certificate has changed
      this.#remote = remote;
    }
    const kept = this.#ready[0];
    if (kept !== undefined) this.#forget(kept);
    const { connection } = kept ?? (await dialAgent(remote));
    this.#refillSoon();
    return connection;
  }

  /** How many are ready. */
  get size(): number {
    return this.#ready.length;
  }

  close(): void {
    clearTimeout(this.#refill);
    this.#remote = undefined;
    for (const kept of [...this.#ready]) this.#discard(kept);
  }

  #refillSoon(): void {
    clearTimeout(this.#refill);
    this.#refill = setTimeout(() => {
      if (!this.#filling) void this.#fill().finally(() => (this.#filling = false));
    }, LULL).unref();
  }

  /** An agent that is away is not asked again before the next call has reached it. */
  async #fill(): Promise<void> {
    this.#filling = true;
    const remote = this.#remote;
    while (remote !== undefined && this.#ready.length < KEPT) {
      const opened = await dialAgent(remote, PATIENCE).catch(() => undefined);
      if (opened === undefined) return;
      const { connection, patience } = opened;
      // An agent of before has no more patience than with any other call.
      if (remote !== this.#remote || patience <= MARGIN) {
        connection.destroy();
        return;
      }
      this.#keep(connection, patience - MARGIN);
    }
  }

  #keep(connection: Connection, age: number): void {
    const silence = setTimeout(() => this.#discard(kept), INTERVALS.silence).unref();
    const end = setTimeout(() => {
      this.#discard(kept);
      this.#refillSoon();
    }, age).unref();
    const kept: Kept = { connection, timers: [silence, end] };
    connection.onMessage(() => {
      if (this.#ready.includes(kept)) silence.refresh();
    });
    connection.onClose(() => this.#forget(kept)); // and no other one before the next call: the agent may be about to stop
    this.#ready.push(kept);
  }

  #discard(kept: Kept): void {
    this.#forget(kept);
    kept.connection.destroy();
  }

  /** It is in use, or cannot be used. */
  #forget(kept: Kept): void {
    for (const timer of kept.timers) clearTimeout(timer);
    const at = this.#ready.indexOf(kept);
    if (at >= 0) this.#ready.splice(at, 1);
  }
}
