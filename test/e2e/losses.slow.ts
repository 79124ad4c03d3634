import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { prepareAgent, type TestAgent } from '../helpers/agent.ts';
import { processesNaming } from '../helpers/processes.ts';
import { until } from '../helpers/wait.ts';
import { freePort, isListening } from './ports.ts';
import { assertCalled, assertRefused, makeStubs, type Stub } from './stubs.ts';

/** Prints numbered lines, 200 before it says so and the rest after the file is there. Its ledger counts how often it ran. */
const COUNT = `#!/bin/bash
echo run >>"$1.ledger"
for ((i = 0; i < 200; i++)); do echo "line $i"; echo "error $i" >&2; done
echo half
until [[ -e $1.go ]]; do sleep 0.02; done
for ((i = 200; i < 20000; i++)); do echo "line $i"; done
cat
exit 9
`;
const lines = (from: number, to: number, word = 'line'): string =>
  Array.from({ length: to - from }, (_, index) => `${word} ${from + index}\n`).join('');
const STDOUT = `${lines(0, 200)}half\n${lines(200, 20_000)}the end`;
const STDERR = lines(0, 200, 'error');

suite('what becomes of a call when a part of the agent is lost', () => {
  let agent: TestAgent;
  let stubs: { wss: Stub; ws: Stub };

  before(async () => {
    // Ports that stay the same when the front is started again.
    const listen = { tls: [`127.0.0.1:${await freePort()}`], plaintext: [`127.0.0.1:${await freePort()}`] };
    agent = await prepareAgent({ settings: { listen, drain: '20s', defaults: { grace: '500ms' } } });
    await agent.start();
    stubs = await makeStubs(agent);
    agent.script('count.sh', COUNT);
    agent.script('echo.sh', '#!/bin/sh\nexec cat\n');
  });
  after(() => agent.close());

  function pidOf(part: 'front' | 'runner' | 'keeper'): number {
    const pid = agent.part(part);
    assert.ok(pid !== undefined, `there is no ${part}`);
    return pid;
  }

  /** Waits until another front listens. */
  async function frontAfter(old: number): Promise<void> {
    await until('another front', () => (agent.part('front') ?? old) !== old);
    for (const url of [agent.urls.wss, agent.urls.ws])
      await until(`somebody listens on ${url}`, () => isListening(Number(new URL(url).port)));
  }

  test('the front is killed: every stub goes on where it was, the script runs once', async () => {
    const calls = (['wss', 'ws', 'wss', 'ws'] as const).map((transport, index) => {
      const base = path.join(agent.dir, `count-${index}`);
      return { base, call: stubs[transport].start(['count', base], { stdin: 'the end' }) };
    });
    for (const { call } of calls) await call.printed('half');
    const front = pidOf('front');
    process.kill(front, 'SIGKILL');
    for (const { base } of calls.slice(0, 2)) writeFileSync(`${base}.go`, ''); // these end while nobody listens
    await frontAfter(front);
    for (const { base } of calls.slice(2)) writeFileSync(`${base}.go`, '');
    for (const { base, call } of calls) {
      assertCalled(await call.end(), { stdout: STDOUT, stderr: STDERR, code: 9 });
      assert.equal(readFileSync(`${base}.ledger`, 'utf8'), 'run\n');
    }
  });

  test('the front is killed again and again: still every byte once', async () => {
    const base = path.join(agent.dir, 'count-twice');
    const call = stubs.wss.start(['count', base], { stdin: 'the end' });
    await call.printed('half');
    for (let kill = 0; kill < 2; kill += 1) {
      const front = pidOf('front');
      process.kill(front, 'SIGKILL');
      await frontAfter(front);
    }
    writeFileSync(`${base}.go`, '');
    assertCalled(await call.end(), { stdout: STDOUT, stderr: STDERR, code: 9 });
    assert.equal(readFileSync(`${base}.ledger`, 'utf8'), 'run\n');
  });

  test('the runner is killed, again and again: every stub gets every byte and the exit code, the script runs once', async () => {
    const calls = (['wss', 'ws', 'wss', 'ws'] as const).map((transport, index) => {
      const base = path.join(agent.dir, `count-runner-${index}`);
      return { base, call: stubs[transport].start(['count', base], { stdin: 'the end' }) };
    });
    for (const { call } of calls) await call.printed('half');
    for (const { base } of calls.slice(0, 2)) {
      const runner = pidOf('runner');
      process.kill(runner, 'SIGKILL');
      writeFileSync(`${base}.go`, ''); // prints and ends while no runner is there
      await until('another runner', () => (agent.part('runner') ?? runner) !== runner);
    }
    for (const { base } of calls.slice(2)) writeFileSync(`${base}.go`, '');
    for (const { base, call } of calls) {
      const { code, stdout, stderr } = await call.end();
      assert.equal(code, 9, stderr.slice(-500));
      assert.equal(stdout.toString(), STDOUT);
      assert.ok(stderr.startsWith(STDERR), stderr.slice(-500));
      assert.equal(readFileSync(`${base}.ledger`, 'utf8'), 'run\n');
    }
  });

  test('the keeper is killed: 125, never success, the stub says so, and the script is ended', async () => {
    const calls = (['wss', 'ws'] as const).map((transport) => stubs[transport].start(['count', path.join(agent.dir, transport)]));
    for (const call of calls) await call.printed('half');
    const runs = await agent.runs('limit=2');
    assert.deepEqual(
      runs.map(({ outcome }) => outcome),
      [null, null],
    );
    process.kill(pidOf('keeper'), 'SIGKILL');
    for (const call of calls) {
      const { code, stdout, stderr } = await call.end();
      assert.equal(code, 125, stderr.slice(-500));
      assert.equal(stdout.toString(), `${lines(0, 200)}half\n`);
      assert.ok(stderr.startsWith(STDERR), stderr.slice(-500));
      assert.match(stderr.slice(STDERR.length), /^mediator: [^\n]+\n$/);
    }
    for (const { id } of runs) {
      assert.equal((await agent.run(id)).outcome, 'lost');
      await until('nothing of it is left', () => processesNaming(id).length === 0);
    }
    assertCalled(await stubs.wss.call(['echo'], { stdin: 'as if nothing had happened' }), { stdout: 'as if nothing had happened' });
  });

  test('the front is killed while a long stdin is on its way: 69, and nothing was started', async () => {
    const call = stubs.ws.start(['echo'], { stdin: null });
    call.write('x'.repeat(300_000));
    await until('the upload has begun', () => agent.incoming().length === 1);
    const [before] = await agent.runs('limit=1');
    const front = pidOf('front');
    process.kill(front, 'SIGKILL');
    call.write('x'.repeat(300_000));
    call.endStdin();
    assertRefused(await call.end(), 69);
    await frontAfter(front);
    assert.deepEqual((await agent.runs('limit=1'))[0], before);
    assert.deepEqual(agent.incoming(), []);
  });

  test('the agent is stopped while a script runs: it may finish, and its stub gets all of it', async () => {
    const base = path.join(agent.dir, 'count-stop');
    const call = stubs.wss.start(['count', base], { stdin: 'the end' });
    await call.printed('half');
    const stopped = agent.stop();
    writeFileSync(`${base}.go`, '');
    assertCalled(await call.end(), { stdout: STDOUT, stderr: STDERR, code: 9 });
    assert.equal(await stopped, 0);
    await agent.start();
  });

  test('the agent is stopped while a stub waits for its stdin: 75, and the agent does not wait', async () => {
    const call = stubs.wss.start(['echo'], { stdin: null });
    call.write('x'.repeat(300_000));
    await until('the upload has begun', () => agent.incoming().length === 1);
    assert.equal(await agent.stop(), 0);
    call.endStdin();
    assertRefused(await call.end(), 75);
  });
});
