/** HUP: configuration, keys and certificate are read once more, all of them or nothing, and no connection notices. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { connect } from 'node:tls';
import { assertCalled, assertRefused, makeStub, type Stub } from '../e2e/stubs.ts';
import { startAgent, type TestAgent } from '../helpers/agent.ts';
import { mediatorAgent } from '../helpers/command.ts';
import { soon } from '../helpers/wait.ts';

suite('an agent that reloads', () => {
  let agent: TestAgent;
  let stub: Stub;
  let keys: string;
  before(async () => {
    agent = await startAgent();
    stub = await makeStub(agent);
    keys = path.join(agent.dir, 'keys.yaml');
    agent.script('hello.sh', '#!/bin/bash\necho "hello $SCW_EVENT$OTHER"\n');
  });
  after(() => agent.close());

  test('knows a new key and forgets an old one, while a call by the old one goes on', async () => {
    const go = path.join(agent.dir, 'go');
    agent.script('wait.sh', `#!/bin/bash\necho begun\nuntil [[ -e ${go} ]]; do sleep 0.02; done\necho done\n`);
    const parts = [agent.part('front'), agent.part('runner')];
    const call = stub.start(['wait']);
    await call.printed('begun');

    const old = readFileSync(keys, 'utf8');
    writeFileSync(keys, old.replaceAll(agent.key.id, 'stub-2').replaceAll(agent.key.secret, 'x'.repeat(43)));
    assert.deepEqual(await agent.reload(), ['reloaded', 'reloaded']);
    assertRefused(await stub.call(['hello']), 77);
    assertCalled(await (await makeStub(agent, { name: 'new/mediator.sh' })).call(['hello']), { stdout: 'hello \n' });

    writeFileSync(go, '');
    assertCalled(await call.end(), { stdout: 'begun\ndone\n' });
    assert.deepEqual([agent.part('front'), agent.part('runner')], parts);
    writeFileSync(keys, old);
    await agent.reload();
    assertCalled(await stub.call(['hello']), { stdout: 'hello \n' });
  });

  test('shows a new certificate to those who connect from now on', async () => {
    const folder = path.join(agent.dir, 'renewed');
    const made = await mediatorAgent(['init', '--dir', folder, '--name', 'localhost', '--name', '127.0.0.1']);
    assert.equal(made.code, 0, made.stderr);
    for (const file of ['tls/cert.pem', 'tls/key.pem']) copyFileSync(path.join(folder, file), path.join(agent.dir, file));
    const before = await shownBy(agent);
    await agent.reload();
    const wanted = new X509Certificate(readFileSync(path.join(agent.dir, 'tls/cert.pem')));
    assert.notEqual(before.fingerprint256, wanted.fingerprint256);
    assert.equal((await shownBy(agent)).fingerprint256, wanted.fingerprint256);
    assertCalled(await (await makeStub(agent, { name: 'renewed/mediator.sh' })).call(['hello']), { stdout: 'hello \n' });
    stub = await makeStub(agent);
  });

  test('shows the next certificate to stubs that were made when it stood behind the present one, and they go on', async () => {
    const folder = path.join(agent.dir, 'next');
    const made = await mediatorAgent(['init', '--dir', folder, '--name', 'localhost', '--name', '127.0.0.1']);
    assert.equal(made.code, 0, made.stderr);
    const certificate = path.join(agent.dir, 'tls/cert.pem');
    const next = path.join(folder, 'tls/cert.pem');
    writeFileSync(certificate, readFileSync(certificate, 'utf8') + readFileSync(next, 'utf8'));
    assert.deepEqual(await agent.reload(), ['reloaded', 'reloaded']);
    const prepared = await makeStub(agent, { name: 'prepared/mediator.sh' });
    assertCalled(await prepared.call(['hello']), { stdout: 'hello \n' });
    for (const file of ['tls/cert.pem', 'tls/key.pem']) copyFileSync(path.join(folder, file), path.join(agent.dir, file));
    assert.deepEqual(await agent.reload(), ['reloaded', 'reloaded']);
    for (const MEDIATOR_TRANSPORT of ['openssl', 'curl'])
      assertCalled(await prepared.call(['hello'], { env: { MEDIATOR_TRANSPORT } }), { stdout: 'hello \n' });
    assertRefused(await stub.call(['hello']), 77);
    stub = prepared;
  });

  test('answers to a new name, and passes on a new variable', async () => {
    agent.configure({ names: ['localhost', '127.0.0.1', 'agent.invalid'], environment: ['SCW_*', 'OTHER'] });
    assert.deepEqual(await agent.reload(), ['reloaded', 'reloaded']);
    const passing = await makeStub(agent, { name: 'passing/mediator.sh' });
    assertCalled(await passing.call(['hello'], { env: { OTHER: 'world' } }), { stdout: 'hello world\n' });
  });

  test('forgets what agent.yaml does not name any more', async () => {
    mkdirSync(path.join(agent.dir, 'credentials'), { mode: 0o700 });
    writeFileSync(path.join(agent.dir, 'credentials/PASSWORD'), 'of-another-system', { mode: 0o600 });
    agent.script('secret.sh', '#!/bin/bash\necho "${#PASSWORD}"\n', { manifest: 'secrets: [PASSWORD]\n' });
    agent.configure({ credentials: 'credentials' });
    await agent.reload();
    assertCalled(await stub.call(['secret']), { stdout: '17\n' });
    agent.configure({ credentials: undefined });
    assert.deepEqual(await agent.reload(), ['reloaded', 'reloaded']);
    assertRefused(await stub.call(['secret']), 126);
  });

  for (const [what, breakIt, pattern, parts] of [
    ['broken keys', () => writeFileSync(keys, 'keys:\n  - id: stub-1\n'), /keys\.yaml:2: .*secret/, 1],
    ['keys that others may read', () => chmodSync(keys, 0o644), /keys\.yaml: has mode 0644 and holds secrets; run: chmod 600 /, 1],
    ['a broken certificate', () => writeFileSync(path.join(agent.dir, 'tls/cert.pem'), 'no certificate'), /cert\.pem .*cannot be used/, 1],
    ['a broken agent.yaml', () => writeFileSync(agent.config, 'names: []\ncolour: blue\n'), /agent\.yaml:2: colour/, 2],
    ['a change that needs a restart', () => agent.configure({ limits: { concurrency: 1 } }), /limits: .*restart/, 2],
    ['a change that needs a restart of the front', () => agent.configure({ nonces: 'elsewhere' }), /nonces: .*restart/, 1],
  ] as const) {
    test(`stays as it was, and says so: ${what}`, async () => {
      const files = [keys, path.join(agent.dir, 'tls/cert.pem'), agent.config].map((file) => [file, readFileSync(file)] as const);
      agent.configure({ names: ['nobody.invalid'] }); // must not be taken either
      breakIt();
      const said = await agent.reload();
      assert.equal(said.filter((line) => pattern.test(line)).length, parts, said.join('\n'));
      assertCalled(await stub.call(['hello']), { stdout: 'hello \n' });
      for (const [file, data] of files) writeFileSync(file, data);
      chmodSync(keys, 0o600);
      assert.deepEqual(await agent.reload(), ['reloaded', 'reloaded']);
    });
  }
});

async function shownBy(agent: TestAgent): Promise<X509Certificate> {
  const { hostname, port } = new URL(agent.urls.wss);
  const socket = connect({ host: hostname, port: Number(port), rejectUnauthorized: false });
  await soon('the handshake', once(socket, 'secureConnect'));
  const certificate = socket.getPeerX509Certificate();
  socket.destroy();
  assert.ok(certificate);
  return certificate;
}
