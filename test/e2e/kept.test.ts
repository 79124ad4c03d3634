/** What a sidecar has ready: connections to the agent that are open before the call comes. */
import assert from 'node:assert/strict';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import path from 'node:path';
import { after, afterEach, before, beforeEach, suite, test } from 'node:test';
import { parse, stringify } from 'yaml';
import { z } from 'zod';
import { startAgent, type TestAgent } from '../helpers/agent.ts';
import { until } from '../helpers/wait.ts';
import { listen } from './ports.ts';
import { Sidecar } from './sidecar.ts';
import { assertCalled, assertRefused, type Stub } from './stubs.ts';

const Keys = z.object({ keys: z.array(z.looseObject({ id: z.string() })) });
/** As kept.ts has it. */
const KEPT = 5;
const OTHER = { id: 'sidecar', secret: 's'.repeat(43), scripts: ['**'] };

suite('the connections that a sidecar keeps', () => {
  let agent: TestAgent;
  let sidecar: Sidecar;
  let stub: Stub;
  let way: Way;
  before(async () => {
    agent = await startAgent({ keys: [OTHER] });
    agent.script('cat.sh', '#!/bin/bash\ncat\n');
  });
  after(() => agent.close());

  beforeEach(async (context) => {
    way = await new Way(Number(new URL(agent.urls.wss).port)).open();
    const name = context.name.replaceAll(/\W/g, '-');
    sidecar = await new Sidecar(agent, name, { key: OTHER, url: `wss://127.0.0.1:${way.port}` }).start();
    stub = await sidecar.stub();
    assertCalled(await stub.call(['cat'], { stdin: 'first' }), { stdout: 'first' });
    await until('connections are kept', async () => (await sidecar.kept()) === KEPT);
    assert.equal(way.opened, 1 + KEPT);
  });
  afterEach(async () => {
    await sidecar.stop();
    way.close();
  });

  test('carry a call each, while no other way leads to the agent', async () => {
    way.close();
    const calls = Array.from({ length: KEPT }, (_, index) => stub.call(['cat'], { stdin: `call ${index}` }));
    for (const [index, called] of (await Promise.all(calls)).entries()) assertCalled(called, { stdout: `call ${index}` });
    assertRefused(await stub.call(['cat']), 75);
  });

  test('are replaced by others once they are used', async () => {
    assertCalled(await stub.call(['cat'], { stdin: 'second' }), { stdout: 'second' });
    await until('one more is open', () => way.opened === 2 + KEPT);
  });

  test('are not used once they have broken', async () => {
    way.cut();
    await until('the sidecar has noticed', async () => (await sidecar.kept()) === 0);
    const called = await stub.call(['cat'], { stdin: 'third' });
    assertCalled(called, { stdout: 'third' });
    await until('others are kept', async () => (await sidecar.kept()) === KEPT);
    assert.equal(way.opened, 2 * (1 + KEPT));
  });

  test('are worth nothing to a key that was revoked in the meantime', async () => {
    const file = path.join(agent.dir, 'keys.yaml');
    const before = readFileSync(file, 'utf8');
    const keys = Keys.parse(parse(before)).keys.filter(({ id }) => id !== OTHER.id);
    replace(file, stringify({ keys }));
    const called = await stub.call(['cat'], { stdin: 'fourth' });
    assertRefused(called, 77);
    assert.match(called.stderr, /the key sidecar does not exist any more/);
    replace(file, before);
  });
});

/** Written beside and moved, as the commands do it: it counts at once. */
function replace(file: string, content: string): void {
  writeFileSync(`${file}.new`, content, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

/** The only way to the agent. Closed, it takes no further connections. */
class Way {
  readonly #target: number;
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;
  opened = 0;
  port = 0;

  constructor(target: number) {
    this.#target = target;
    this.#server = createServer((near) => {
      this.opened += 1;
      const far = connect(this.#target, '127.0.0.1');
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(from);
        from.pipe(to);
        from.on('error', () => undefined);
        from.once('close', () => {
          this.#sockets.delete(from);
          to.destroy();
        });
      }
    });
  }

  async open(): Promise<this> {
    this.port = await listen(this.#server);
    return this;
  }

  close(): void {
    if (this.#server.listening) this.#server.close();
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}
