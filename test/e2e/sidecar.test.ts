/** A sidecar: stubs call it on loopback without TLS, and it calls the agent with TLS and a key of its own. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { startAgent, type TestAgent } from '../helpers/agent.ts';
import { mediatorAgent } from '../helpers/command.ts';
import { freePort } from './ports.ts';
import { Sidecar } from './sidecar.ts';
import { assertCalled, assertRefused, type Stub } from './stubs.ts';

suite('a sidecar', () => {
  let agent: TestAgent;
  let sidecar: Sidecar;
  let stub: Stub;
  before(async () => {
    agent = await startAgent({ keys: [{ id: 'narrow', secret: 'n'.repeat(43), scripts: ['cat'] }] });
    agent.script('cat.sh', '#!/bin/bash\ncat\necho "$*" >&2\nexit 3\n');
    agent.script('hello.sh', '#!/bin/bash\necho hello\n');
    sidecar = await new Sidecar(agent, 'sidecar').start();
    stub = await sidecar.stub();
  });
  after(async () => {
    await sidecar.stop();
    await agent.close();
  });

  test('passes everything on, byte for byte', async () => {
    const stdin = randomBytes(3_000_000);
    assertCalled(await stub.call(['cat', 'a b', 'ü'], { stdin }), { code: 3, stdout: stdin, stderr: 'a b ü\n' });
  });

  test('calls with its own key: the agent knows no other', async () => {
    assertCalled(await stub.call(['hello']), { stdout: 'hello\n' });
    const [run] = await agent.runs('script=hello.sh');
    assert.equal(run?.key, agent.key.id);
    assert.notEqual(agent.key.id, 'pod');
  });

  test('serves many at once', async () => {
    const called = await Promise.all(Array.from({ length: 20 }, (_, index) => stub.call(['cat', String(index)], { stdin: `${index}` })));
    for (const [index, one] of called.entries()) assertCalled(one, { code: 3, stdout: `${index}`, stderr: `${index}\n` });
  });

  test('that dies and comes back is not noticed: the stub resumes', async () => {
    const port = Number(new URL(sidecar.url).port);
    const go = path.join(agent.dir, 'go');
    agent.script('wait.sh', `#!/bin/bash\necho begun\nuntil [[ -e ${go} ]]; do sleep 0.02; done\necho done\n`);
    const call = stub.start(['wait']);
    await call.printed('begun');
    await sidecar.stop('SIGKILL');
    writeFileSync(sidecar.config, readFileSync(sidecar.config, 'utf8').replace('127.0.0.1:0', `127.0.0.1:${port}`));
    await sidecar.start();
    writeFileSync(go, '');
    assertCalled(await call.end(), { stdout: 'begun\ndone\n' });
    assert.equal((await agent.runs('script=wait.sh')).length, 1);
  });

  test('checks the keys of its stubs itself, and what they may call', async () => {
    const narrow = await new Sidecar(agent, 'narrow-pod', { scripts: ['hello'] }).start();
    const caller = await narrow.stub();
    assertCalled(await caller.call(['hello']), { stdout: 'hello\n' });
    assertRefused(await caller.call(['cat']), 77);
    assertRefused(await caller.call(['hello'], { env: { MEDIATOR_KEY: `${agent.key.id}:${agent.key.secret}` } }), 77);
    await narrow.stop();
  });

  test('may call no more than its own key at the agent', async () => {
    const narrow = await new Sidecar(agent, 'narrow-key', { key: { id: 'narrow', secret: 'n'.repeat(43) } }).start();
    const caller = await narrow.stub();
    assertCalled(await caller.call(['cat'], { stdin: 'in' }), { code: 3, stdout: 'in', stderr: '\n' });
    assertRefused(await caller.call(['hello']), 77);
    await narrow.stop();
  });

  test('whose key the agent does not know says so', async () => {
    const stranger = await new Sidecar(agent, 'stranger', { key: { id: 'stranger', secret: 's'.repeat(43) } }).start();
    const called = await (await stranger.stub()).call(['hello']);
    assertRefused(called, 77);
    assert.match(called.stderr, /refuses this sidecar/);
    await stranger.stop();
  });

  test('passes nothing on to who is not the agent', async () => {
    const other = path.join(agent.dir, 'other');
    assert.equal((await mediatorAgent(['init', '--dir', other, '--name', '127.0.0.1'])).code, 0);
    const before = (await agent.runs()).length;
    const misled = await new Sidecar(agent, 'misled', { ca: path.join(other, 'tls/cert.pem') }).start();
    const called = await (await misled.stub()).call(['hello']);
    assertRefused(called, 75);
    assert.match(called.stderr, /self-signed certificate/);
    assert.equal((await agent.runs()).length, before);
    await misled.stop();
  });

  test('is examined by doctor: the agent that it passes calls on to, and the key that it has there', async () => {
    const { code, stdout } = await mediatorAgent(['doctor', '--config', sidecar.config]);
    assert.equal(code, 0, stdout);
    assert.match(stdout, new RegExp(`^ok {4}${agent.urls.wss}: the agent answers, and takes the key ${agent.key.id}$`, 'm'));
    const stranger = new Sidecar(agent, 'unknown', { key: { id: 'stranger', secret: 's'.repeat(43) } });
    const examined = await mediatorAgent(['doctor', '--config', stranger.config]);
    assert.equal(examined.code, 1);
    assert.match(examined.stdout, /^FAIL {2}wss:.*refuses this sidecar/m);
  });

  test('says that the agent is away with 75', async () => {
    const lost = await new Sidecar(agent, 'lost', { url: `wss://127.0.0.1:${await freePort()}` }).start();
    assertRefused(await (await lost.stub()).call(['hello']), 75);
    await lost.stop();
  });

  test('is made by front alone, and with a key file that is one', async () => {
    for (const command of ['serve', 'runner']) {
      const { code, stderr } = await mediatorAgent([command, '--config', sidecar.config]);
      assert.equal(code, 64);
      assert.match(stderr, /mediator-agent front/);
    }
    assert.equal((await mediatorAgent(['check', '--config', sidecar.config])).code, 0);
    const broken = new Sidecar(agent, 'broken');
    writeFileSync(path.join(broken.dir, 'upstream.key'), 'no key\n');
    const { code, stderr } = await mediatorAgent(['front', '--config', broken.config]);
    assert.equal(code, 1);
    assert.match(stderr, /upstream\.key is not ID:SECRET/);
    assert.ok(!stderr.includes('no key'));
  });
});
