import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, suite, test, type TestContext } from 'node:test';
import { startAgent, type TestAgent } from '../helpers/agent.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { freePort } from './ports.ts';
import { assertCalled, assertRefused, makeStub, makeStubs, pathWith, type Stub } from './stubs.ts';

suite('a stub is one file that runs by itself', () => {
  let agent: TestAgent;
  let stubs: { wss: Stub; ws: Stub };
  let baked: Stub;

  before(async () => {
    agent = await startAgent();
    stubs = await makeStubs(agent);
    baked = await makeStub(agent, { name: 'anything.sh', options: ['--script', 'close-ticket', '--timeout', '30'] });
    agent.script('close-ticket.sh', '#!/bin/bash\nprintf "%s|" close-ticket "$@"\nexec cat\n');
    agent.script('other.sh', '#!/bin/bash\nprintf "%s|" other "$@"\nexec cat\n');
    agent.script('mediator.sh', '#!/bin/bash\necho the script named mediator\n');
    agent.script('sleep.sh', '#!/bin/bash\nexec sleep 100\n');
  });
  after(() => agent.close());

  /** A copy of a stub, alone in a folder. */
  function alone(context: TestContext, stub: Stub, name: string): Stub {
    const file = path.join(temporaryFolder(context), name);
    copyFileSync(stub.file, file);
    return stub.at(file);
  }

  for (const transport of ['wss', 'ws'] as const) {
    test(`in any folder, called from any other, over ${transport}`, async (context) => {
      const stub = alone(context, stubs[transport], 'mediator.sh');
      for (const cwd of ['/', '/usr', path.dirname(stub.file)]) {
        assertCalled(await stub.call(['close-ticket', 'a b'], { cwd, stdin: 'in' }), { stdout: 'close-ticket|a b|in' });
      }
      assert.deepEqual(readdirSync(path.dirname(stub.file)), ['mediator.sh']);
    });
  }

  test('by a relative name, by its own shebang, and by a name with spaces', async (context) => {
    const stub = alone(context, stubs.wss, 'mediator.sh');
    chmodSync(stub.file, 0o755);
    const folder = path.dirname(stub.file);
    assertCalled(await stub.shell('bash mediator.sh other </dev/null', { cwd: folder }), { stdout: 'other|' });
    assertCalled(await stub.shell('bash ./mediator.sh other </dev/null', { cwd: folder }), { stdout: 'other|' });
    assertCalled(await stub.shell('"$stub" other </dev/null'), { stdout: 'other|' });
    mkdirSync(path.join(folder, 'with spaces'));
    copyFileSync(stub.file, path.join(folder, 'with spaces/mediator.sh'));
    assertCalled(await stub.at(path.join(folder, 'with spaces/mediator.sh')).call(['other']), { stdout: 'other|' });
  });

  test('read-only, and without a folder for temporary files', async (context) => {
    const stub = alone(context, stubs.wss, 'mediator.sh');
    chmodSync(stub.file, 0o444);
    const called = await stub.call(['other'], {
      stdin: 'in',
      cwd: path.dirname(stub.file),
      env: { TMPDIR: '/nowhere', HOME: `${agent.dir}/nowhere` },
    });
    assertCalled(called, { stdout: 'other|in' });
  });

  test('a copy under another name calls the script of that name, and every argument is its own', async (context) => {
    const stub = alone(context, stubs.wss, 'close-ticket.sh');
    assertCalled(await stub.call(['--help', '--version'], { stdin: 'in' }), { stdout: 'close-ticket|--help|--version|in' });
    assertCalled(await stub.call([], { stdin: 'in' }), { stdout: 'close-ticket|in' });
  });

  test('so does a link, and a copy without extension', async (context) => {
    const stub = alone(context, stubs.wss, 'mediator.sh');
    const link = path.join(path.dirname(stub.file), 'close-ticket.sh');
    symlinkSync('mediator.sh', link);
    assertCalled(await stub.at(link).call(['x']), { stdout: 'close-ticket|x|' });
    assertCalled(await alone(context, stubs.wss, 'other').call(['x']), { stdout: 'other|x|' });
  });

  test('a script that is baked in is called whatever the name of the file is', async (context) => {
    for (const name of ['mediator.sh', 'other.sh', 'x']) {
      assertCalled(await alone(context, baked, name).call(['--version', 'b']), { stdout: 'close-ticket|--version|b|' });
    }
  });

  test('MEDIATOR_SCRIPT overrides all of them', async (context) => {
    const env = { MEDIATOR_SCRIPT: 'other' };
    for (const stub of [baked, stubs.wss, alone(context, stubs.wss, 'close-ticket.sh')]) {
      assertCalled(await stub.call(['a'], { env }), { stdout: 'other|a|' });
    }
  });

  test('MEDIATOR_URL, MEDIATOR_KEY and MEDIATOR_CA override what is baked in', async () => {
    const elsewhere = await makeStub(agent, { url: `wss://localhost:${await freePort()}`, name: 'elsewhere.sh' });
    assertRefused(await elsewhere.call([], { env: { MEDIATOR_SCRIPT: 'other' } }), 69);
    const env = {
      MEDIATOR_SCRIPT: 'other',
      MEDIATOR_URL: agent.urls.wss.replace('127.0.0.1', 'localhost'),
      MEDIATOR_KEY: `${agent.key.id}:${agent.key.secret}`,
      MEDIATOR_CA: path.join(agent.dir, 'tls/cert.pem'),
    };
    assertCalled(await elsewhere.call([], { env }), { stdout: 'other|' });
    assertCalled(await elsewhere.call([], { env: { ...env, MEDIATOR_URL: agent.urls.ws } }), { stdout: 'other|' });
  });

  test('MEDIATOR_TIMEOUT overrides what is baked in', async () => {
    const { code } = await baked.call([], { env: { MEDIATOR_SCRIPT: 'sleep', MEDIATOR_TIMEOUT: '1' } });
    assert.equal(code, 124);
  });

  test('the first agent of several that is there is called', async () => {
    const url = `wss://127.0.0.1:${await freePort()} ${agent.urls.wss}`;
    assertCalled(await stubs.wss.call(['other'], { env: { MEDIATOR_URL: url } }), { stdout: 'other|' });
  });

  test('a stub for plaintext has no use for openssl, and one for TLS says that it needs it', async () => {
    assertCalled(await stubs.ws.call(['other'], { path: pathWith(agent) }), { stdout: 'other|' });
    assertRefused(await stubs.wss.call(['other'], { path: pathWith(agent) }), 78);
  });

  test('--version and --help say what they are, and call nobody', async () => {
    const env = { MEDIATOR_URL: 'wss://192.0.2.1:1' };
    const version = await stubs.wss.call(['--version'], { env });
    assert.match(version.stdout.toString(), /^mediator \d+\.\d+\.\d+ /);
    assert.equal(version.code, 0);
    const help = await stubs.wss.call(['--help'], { env });
    assert.match(help.stdout.toString(), /MEDIATOR_URL/);
    assert.equal(help.code, 0);
  });

  suite('--doctor', () => {
    for (const transport of ['wss', 'ws'] as const) {
      test(`finds everything in order, over ${transport}, and runs nothing`, async () => {
        const before = (await agent.runs()).length;
        const { code, stdout, stderr } = await stubs[transport].call(['--doctor']);
        assert.equal(stderr, '');
        for (const line of stdout.toString().trim().split('\n')) assert.match(line, /^ok {4}/);
        assert.equal(code, 0);
        assert.equal((await agent.runs()).length, before);
      });
    }

    test('names what is wrong, with the exit code that a call would have', async () => {
      const cases: [code: number, env: Record<string, string>][] = [
        [69, { MEDIATOR_URL: `wss://127.0.0.1:${await freePort()}` }],
        [77, { MEDIATOR_KEY: `${agent.key.id}:${'x'.repeat(43)}` }],
        [78, { MEDIATOR_TRANSPORT: 'tcp' }],
      ];
      for (const [expected, env] of cases) {
        const { code, stdout } = await stubs.wss.call(['--doctor'], { env });
        assert.equal(code, expected, stdout.toString());
        assert.match(stdout.toString(), /^FAIL /m);
      }
    });

    test('is --mediator-doctor where every argument is meant for the script', async () => {
      const { code, stdout } = await baked.call(['--mediator-doctor']);
      assert.equal(code, 0, stdout.toString());
      assert.match(stdout.toString(), /^ok /);
    });
  });

  test('the secret is neither in the stub nor on a command line', async () => {
    const go = path.join(agent.dir, 'go');
    agent.script('hold.sh', '#!/bin/bash\necho begun\nuntil [[ -e $1 ]]; do sleep 0.02; done\n');
    assert.ok(!readFileSync(stubs.wss.file, 'utf8').includes(agent.key.secret));
    const call = stubs.wss.start(['hold', go], { env: { MEDIATOR_KEY: `${agent.key.id}:${agent.key.secret}` } });
    await call.printed('begun');
    const shown = await stubs.wss.shell('cat /proc/[0-9]*/cmdline 2>/dev/null | tr "\\0" " "', {});
    assert.ok(!shown.stdout.includes(agent.key.secret));
    writeFileSync(go, '');
    assert.equal((await call.end()).code, 0);
  });
});
