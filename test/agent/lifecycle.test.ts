/** Starting, stopping, dying and coming back: nothing is lost that was accepted, and nothing is left running. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { once } from 'node:events';
import path from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { after, before, beforeEach, suite, test } from 'node:test';
import { z } from 'zod';
import { KEEPER_SOCKET } from '../../agent/keeper/messages.ts';
import { exitCodeOf } from '../../protocol/failures.ts';
import { EXIT_UNKNOWN } from '../../protocol/outcomes.ts';
import { prepareAgent, startAgent, type TestAgent } from '../helpers/agent.ts';
import { AGENT_ENV, MAIN } from '../helpers/command.ts';
import { isAlive, processesNaming } from '../helpers/processes.ts';
import { dial, invoke, newToken, openSocket, startMessage, type Call } from '../helpers/stub.ts';
import { soon, until } from '../helpers/wait.ts';

const ACCEPT = { frame: 65_535, bulk: 2 };

/** A script that writes down that it began, and ends when the test says so. */
function gate(agent: TestAgent, name: string, { stubborn = false } = {}): { begun: () => string[]; open: () => void } {
  const go = path.join(agent.dir, `${name}.go`);
  const begun = path.join(agent.dir, `${name}.begun`);
  const trap = stubborn ? 'trap "" TERM\n' : '';
  agent.script(
    `${name}.sh`,
    `#!/bin/bash\n${trap}echo $$ >>${begun}\nprintf first\nuntil [ -e ${go} ]; do sleep 0.02; done\nprintf second\n`,
  );
  return {
    begun: () => (existsSync(begun) ? readFileSync(begun, 'utf8').split('\n').filter(Boolean) : []),
    open: () => {
      writeFileSync(go, '');
    },
  };
}

async function begin(agent: TestAgent, script: string, token = newToken()): Promise<Call> {
  const call = await dial(agent);
  call.send(startMessage({ script, token }));
  call.send({ type: 'end', stdin: 0 });
  await call.accepted();
  await until('the first output', () => call.stdout.length === 5);
  return call;
}

suite('an agent that is told to stop', () => {
  let agent: TestAgent;
  before(async () => (agent = await prepareAgent()));
  beforeEach(async () => {
    if (!agent.running) await agent.start();
  });
  after(() => agent.close());

  test('ends with 0, and removes its socket', async () => {
    assert.equal(await agent.stop(), 0);
    agent.assertNothingLeft();
  });
  test('lets a run finish and its caller read the end, and refuses new ones meanwhile with 75', async () => {
    const { open } = gate(agent, 'gate');
    const call = await begin(agent, 'gate');
    const uploading = await dial(agent);
    uploading.send(startMessage({ script: 'gate' }));
    uploading.sendBinary(Buffer.alloc(100_000));
    const stopped = agent.stop();
    const refused = await until('a new run is refused', async () => {
      const { terminal } = await invoke(agent, { script: 'nothing' });
      return terminal.code !== exitCodeOf('no-such-script') && terminal;
    });
    assert.deepEqual([refused.outcome, refused.code], ['refused', exitCodeOf('draining')]);
    open();
    const terminal = await call.terminal();
    assert.deepEqual([terminal.outcome, terminal.code, call.stdout.toString()], ['exited', 0, 'firstsecond']);
    assert.equal((await uploading.terminal()).code, exitCodeOf('draining'));
    await Promise.all([call.ack(), uploading.ack()]);
    assert.equal(await stopped, 0);
  });
  test('is not held up by those who never read, never send, and never close', async () => {
    await agent.stop();
    agent.configure({ drain: '10m' });
    await agent.start();
    agent.script('large.py', '#!/usr/bin/env python3\nimport os\nfor n in range(256): os.write(1, b"x" * 65536)\n');
    const deaf = await dial(agent);
    deaf.send(startMessage({ script: 'large' }));
    deaf.send({ type: 'end', stdin: 0 });
    const run = await deaf.accepted();
    deaf.pause();
    await until('the end of the run', async () => (await agent.run(run)).outcome === 'exited');
    const mute = await dial(agent);
    const raw = await openSocket(agent);
    assert.equal(await soon('the end of the agent', agent.stop()), 0);
    for (const end of [deaf, mute, raw]) end.destroy();
  });
  test('cancels after a while what does not finish, with everything that it started', async () => {
    await agent.stop();
    agent.configure({ drain: '300ms', defaults: { grace: '200ms' } });
    await agent.start();
    const { begun } = gate(agent, 'stubborn', { stubborn: true });
    const call = await begin(agent, 'stubborn');
    const stopped = agent.stop();
    assert.equal((await call.terminal()).outcome, 'cancelled');
    await call.ack();
    assert.equal(await stopped, 0);
    assert.ok(!begun().map(Number).some(isAlive));
  });
  test('by INT stops as by TERM', async () => {
    assert.equal(await agent.stop('SIGINT'), 0);
  });
  test('can be started again, and knows its runs', async () => {
    const token = newToken();
    agent.script('hello.sh', '#!/bin/bash\necho hello\n');
    const first = await invoke(agent, { script: 'hello', token });
    const runs = await agent.runs();
    await agent.stop();
    await agent.start();
    assert.deepEqual(await invoke(agent, { script: 'hello', token }), first);
    assert.deepEqual(
      (await agent.runs()).map(({ id, outcome }) => [id, outcome]),
      runs.map(({ id, outcome }) => [id, outcome]),
    );
  });
});

suite('a part of the agent that is killed', () => {
  let agent: TestAgent;
  before(async () => (agent = await startAgent({ settings: { defaults: { grace: '200ms' } } })));
  after(() => agent.close());

  /** Waits until another process has taken the part's place, and an invocation gets through. */
  async function restarted(name: 'front' | 'runner', killed: number): Promise<void> {
    await until(`the ${name} is started again`, async () => {
      const pid = agent.part(name);
      if (pid === undefined || pid === killed) return false;
      const answer = await invoke(agent, { script: 'nothing' }).catch(() => undefined);
      return answer?.terminal.code === exitCodeOf('no-such-script');
    });
  }

  /** Kills parts, the keeper first: it would note the death of the runner. */
  function kill(...names: ('keeper' | 'runner')[]): number {
    const pids = names.map((name) => agent.part(name) ?? 0);
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    return pids.at(-1) ?? 0;
  }

  async function resume(token: string, stdout: number): Promise<Call> {
    const call = await dial(agent);
    call.send({ type: 'resume', token, stdout, stderr: 0, accept: ACCEPT });
    return call;
  }

  test('is started again: the runner, whose run never noticed', async () => {
    const { open, begun } = gate(agent, 'kept');
    const token = newToken();
    const call = await begin(agent, 'kept', token);
    const runner = kill('runner');
    assert.equal(await soon('the close', call.closed), 1012);
    await restarted('runner', runner);
    const resumed = await resume(token, 2);
    await until('the rest of the first output', () => resumed.stdout.toString() === 'rst');
    open();
    const terminal = await resumed.terminal();
    assert.deepEqual([terminal.outcome, terminal.code, terminal.stdout], ['exited', 0, 11]);
    assert.equal(resumed.stdout.toString(), 'rstsecond');
    await resumed.ack();
    assert.equal((await invoke(agent, { script: 'kept', token })).stdout.toString(), 'firstsecond');
    assert.equal(begun().length, 1, 'the same token never runs it again');
  });
  test('is started again: the runner, in whose absence the script ended, and the keeper too', async () => {
    const { open } = gate(agent, 'ends-alone');
    const token = newToken();
    const call = await begin(agent, 'ends-alone', token);
    const keeper = agent.part('keeper') ?? 0;
    process.kill(agent.pid, 'SIGSTOP'); // so that nobody starts another runner
    const runner = kill('runner');
    open();
    await until('the keeper has nothing more to keep', () => !isAlive(keeper));
    process.kill(agent.pid, 'SIGCONT');
    await restarted('runner', runner);
    const resumed = await resume(token, 5);
    const terminal = await resumed.terminal();
    assert.deepEqual([terminal.outcome, terminal.code, terminal.stdout], ['exited', 0, 11]);
    assert.equal(resumed.stdout.toString(), 'second');
    await resumed.ack();
    assert.deepEqual(readdirSync(path.dirname(agent.spoolFile(call.run ?? '', 'stdout'))), ['stdout']);
  });
  test('is started again: the runner, and a run of its predecessor can be cancelled, or time out', async () => {
    agent.script('endless.sh', '#!/bin/bash\nprintf first\nexec sleep 100\n');
    agent.script('limited.sh', '#!/bin/bash\nprintf first\nexec sleep 100\n', { manifest: 'timeout: 4s\n' });
    const endless = await begin(agent, 'endless');
    const token = newToken();
    await begin(agent, 'limited', token);
    await restarted('runner', kill('runner'));
    assert.equal((await agent.command(['runs', 'cancel'], [endless.run ?? ''])).code, 0);
    await until('the end', async () => (await agent.run(endless.run ?? '')).outcome === 'cancelled');
    assert.equal((await (await resume(token, 5)).terminal()).outcome, 'timed-out');
    assert.deepEqual(processesNaming(endless.run ?? ''), []);
  });
  for (const parts of [['keeper'], ['keeper', 'runner']] as const) {
    test(`is started again: ${parts.join(' and ')}; the run is lost, its processes gone, its output kept`, async () => {
      const name = `stubborn-${parts.length}`;
      const { begun } = gate(agent, name, { stubborn: true });
      const token = newToken();
      const call = await begin(agent, name, token);
      const killed = kill(...parts);
      if (parts.length === 2) await restarted('runner', killed);
      await until('the end of the run', async () => (await agent.run(call.run ?? '')).outcome !== null);
      const resumed = await resume(token, 2);
      const terminal = await resumed.terminal();
      assert.deepEqual([terminal.outcome, terminal.code, terminal.stdout], ['lost', EXIT_UNKNOWN, 5]);
      assert.equal(resumed.stdout.toString(), 'rst');
      await resumed.ack();
      assert.deepEqual([begun().length, begun().map(Number).some(isAlive)], [1, false]);
      assert.equal((await invoke(agent, { script: name, token })).terminal.outcome, 'lost', 'the same token never runs it again');
      agent.script('next.sh', '#!/bin/bash\necho next\n');
      assert.equal((await invoke(agent, { script: 'next' })).stdout.toString(), 'next\n');
    });
  }
  test('while it is away, its callers are told to try later', async () => {
    const runner = agent.part('runner');
    assert.ok(runner !== undefined);
    process.kill(agent.pid, 'SIGSTOP'); // so that nobody starts another runner
    process.kill(runner, 'SIGKILL');
    const { terminal } = await invoke(agent, { script: 'nothing' });
    process.kill(agent.pid, 'SIGCONT');
    assert.deepEqual([terminal.outcome, terminal.code], ['refused', exitCodeOf('runner-away')]);
    await restarted('runner', runner);
  });
  test('is started again: the front, and the run never noticed', async () => {
    const { open, begun } = gate(agent, 'gate');
    const token = newToken();
    const call = await begin(agent, 'gate', token);
    const front = agent.part('front');
    assert.ok(front !== undefined);
    agent.configure({ listen: { plaintext: [new URL(agent.urls.ws).host] } }); // the same port for the next one
    process.kill(front, 'SIGKILL');
    await soon('the close', call.closed);
    await restarted('front', front);
    open();
    await until('the end of the run', async () => (await agent.run(call.run ?? '')).outcome === 'exited');
    assert.equal(begun().length, 1);
  });
  test('is started again, and a reload in the meantime reaches it once it is there', async () => {
    const killed = agent.part('runner') ?? 0;
    process.kill(killed, 'SIGKILL');
    await until('another runner is being loaded', () => (agent.part('runner') ?? killed) !== killed);
    assert.deepEqual(await agent.reload(), ['reloaded', 'reloaded']);
    assert.doesNotMatch(agent.stderr, /signal 1\b/);
    await restarted('runner', killed);
  });
  test('is no part at all: where nobody reads the log any more, everything goes on', async () => {
    agent.closeLog();
    for (let count = 0; count < 3; count += 1) {
      assert.equal((await invoke(agent, { script: 'nothing' })).terminal.code, exitCodeOf('no-such-script'));
    }
    assert.doesNotMatch(agent.stderr.slice(agent.stderr.lastIndexOf('ready')), /EPIPE/);
  });
  test('takes nobody with it: where serve itself is killed, all parts stop', async () => {
    process.kill(agent.pid, 'SIGKILL');
    assert.equal(await agent.ended(), null);
    agent.assertNothingLeft();
  });
});

suite('a part whose starter dies while it is being loaded', () => {
  let agent: TestAgent;
  before(async () => (agent = await prepareAgent()));
  after(() => agent.close());

  for (const part of ['runner', 'front', 'keeper']) {
    test(`stops, in order: the ${part}`, async () => {
      const args = [part, '--config', agent.config, ...(part === 'keeper' ? ['--socket', path.join(agent.state, KEEPER_SOCKET)] : [])];
      const child = spawn(process.execPath, [MAIN, ...args], {
        stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
        env: { ...process.env, ...AGENT_ENV },
      });
      const said = text(z.instanceof(Readable).parse(child.stderr));
      const ended = once(child, 'exit');
      child.disconnect();
      assert.deepEqual(await soon('the end of the part', ended), [0, null]);
      assert.equal(await said, '');
      await until('its keeper is gone, too', () => processesNaming(agent.dir).length === 0);
      agent.assertNothingLeft();
    });
  }
});

suite('an agent that cannot start', () => {
  const agents: TestAgent[] = [];
  const strangers: Server[] = [];
  after(() => {
    for (const agent of agents) agent.remove();
    for (const stranger of strangers) stranger.close();
  });

  async function prepare(settings: Record<string, unknown> = {}): Promise<TestAgent> {
    const agent = await prepareAgent({ settings });
    agents.push(agent);
    return agent;
  }

  /** It ends by itself, says why, and leaves nothing running. */
  async function fails(agent: TestAgent): Promise<string> {
    const child = agent.launch();
    if (child.exitCode === null) await soon('the end of an agent that cannot start', once(child, 'exit'));
    assert.notEqual(await agent.ended(), 0);
    assert.deepEqual(processesNaming(agent.dir), []);
    assert.doesNotMatch(agent.stderr, /\n\s+at /, 'a stack is for us, not for who starts the agent');
    return agent.stderr;
  }

  test('because a stranger has the port says so', async () => {
    const stranger = createServer().listen(0, '127.0.0.1');
    strangers.push(stranger);
    await once(stranger, 'listening');
    const address = stranger.address();
    assert.ok(typeof address === 'object' && address !== null);
    const agent = await prepare({ listen: { plaintext: [`127.0.0.1:${address.port}`] } });
    const error = await fails(agent);
    assert.match(error, new RegExp(`^.*127\\.0\\.0\\.1:${address.port}.*$`, 'm'));
    assert.ok(error.trim().split('\n').length <= 2, error);
    assert.ok(!existsSync(agent.socket));
  });
  test('because one of its own addresses is taken, opens none', async () => {
    const agent = await prepare({ listen: { plaintext: ['127.0.0.1:0', '192.0.2.1:1'] } });
    assert.match(await fails(agent), /192\.0\.2\.1:1/);
  });
  test('because others may read its keys names the file and the command', async () => {
    const agent = await prepare();
    chmodSync(path.join(agent.dir, 'keys.yaml'), 0o644);
    assert.match(await fails(agent), /chmod 600 .*keys\.yaml/);
  });
  test('because its certificate is none, or not that of its key, names the file', async () => {
    const agent = await prepare();
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    writeFileSync(path.join(agent.dir, 'tls/key.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
    assert.match(await fails(agent), /key\.pem/);
    writeFileSync(path.join(agent.dir, 'tls/cert.pem'), 'nonsense');
    assert.match(await fails(agent), /cert\.pem/);
  });
  test('because agent.yaml has faults names all of them, with their lines', async () => {
    const agent = await prepare();
    writeFileSync(agent.config, 'names: []\nlisten: { plaintext: [x] }\nlog: loud\nfoo: 1\n');
    const error = await fails(agent);
    for (const fault of ['agent.yaml:1: names', 'agent.yaml:2: listen.plaintext.0', 'agent.yaml:3: log', 'agent.yaml:4: foo'])
      assert.ok(error.includes(fault), error);
  });
  test('because another agent has its state folder says so, and the other one does not notice', async () => {
    const first = await prepare();
    await first.start();
    first.script('ok.sh', '#!/bin/bash\necho ok\n');
    const uploading = await dial(first);
    uploading.send(startMessage({ script: 'ok' }));
    uploading.sendBinary(Buffer.alloc(100_000));
    await until('the upload has a file', () => first.incoming().length === 1);
    for (const socket of [first.socket, path.join(first.dir, 'other.sock')]) {
      const second = await prepare({ state: first.state, socket });
      assert.match(await fails(second), /state/);
    }
    uploading.send({ type: 'end', stdin: 100_000 });
    assert.equal((await uploading.terminal()).code, 0);
    await uploading.ack();
    await first.close();
  });
  test('because its scripts folder is missing says so', async () => {
    const agent = await prepare({ scripts: 'nowhere' });
    assert.match(await fails(agent), /nowhere/);
  });
  test('and is told to stop before it is ready, leaves nothing running', async () => {
    const agent = await prepare();
    // At any moment of the start: there is nothing to wait for that would not have an order of its own.
    for (const moment of [50, 250, 400, 550, 700]) {
      const child = agent.launch();
      await delay(moment);
      child.kill('SIGTERM');
      await agent.ended();
      assert.deepEqual(processesNaming(agent.dir), []);
    }
  });
});
