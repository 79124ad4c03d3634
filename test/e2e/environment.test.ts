import assert from 'node:assert/strict';
import { existsSync, readdirSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { startAgent, type TestAgent } from '../helpers/agent.ts';
import { assertCalled, assertRefused, makeStub, makeStubs, type CallOptions, type Stub } from './stubs.ts';

/** In the agent's own environment; scripts get the second kind alone. */
const AGENT_ENV = { SECRET_OF_THE_AGENT: 'x', LD_BIND_NOW: '1', SCW_OF_THE_AGENT: 'x', TZ: 'Europe/Vienna', LANG: 'C.UTF-8' };

suite('what a script finds around itself', () => {
  let agent: TestAgent;
  let stubs: { wss: Stub; ws: Stub };

  before(async () => {
    agent = await startAgent({
      env: AGENT_ENV,
      settings: { environment: ['SCW_*', 'LD_*', 'MEDIATOR_*', 'PATH', 'PYTHON*', 'BASH_*', 'LANG'] },
    });
    stubs = await makeStubs(agent);
    agent.script('sub/env.sh', '#!/bin/sh\ncat "/proc/$$/environ"\n');
    agent.script('with-manifest.sh', '#!/bin/sh\ncat "/proc/$$/environ"\n', {
      manifest: 'env: { SC_URL: "https://sc", SCW_EVENT: OURS, TZ: UTC }\n',
    });
    agent.script('sub/folder.sh', '#!/bin/sh\npwd -P\ncat ./conf/x\n');
    agent.script('sub/conf/x', 'beside\n', { mode: 0o644 });
    agent.script('in-state.sh', '#!/bin/bash\npwd -P\necho x >>ledger\nwc -l <ledger\n', { manifest: 'cwd: state\n' });
    agent.script('hold.sh', '#!/bin/bash\necho begun\nuntil [[ -e $1 ]]; do sleep 0.02; done\n');
    agent.script('umask.sh', '#!/bin/sh\numask\n');
    agent.script(
      'descriptors.py',
      '#!/usr/bin/env python3\nimport os\nfor fd in range(4096):\n    try:\n        print(fd, os.readlink(f"/proc/self/fd/{fd}"))\n    except OSError:\n        pass\n',
    );
    agent.script('kinds.sh', '#!/bin/bash\nfor fd in 0 1 2; do readlink "/proc/$$/fd/$fd"; done\n');
    agent.script('signals.sh', '#!/bin/sh\nexec grep -E "^Sig(Blk|Ign):" /proc/self/status\n');
    agent.script(
      'session.py',
      '#!/usr/bin/env python3\nimport os\nprint(os.getsid(0) == os.getpid() == os.getpgid(0))\ntry:\n    os.open("/dev/tty", os.O_RDWR)\n    print("a terminal")\nexcept OSError:\n    print("none")\n',
    );
  });
  after(() => agent.close());

  async function environmentOf(script: string, options: CallOptions = {}, stub = stubs.wss): Promise<Record<string, string>> {
    const called = await stub.call([script], options);
    assert.equal(called.stderr, '');
    assert.equal(called.code, 0);
    const variables = called.stdout.toString().split('\0').filter(Boolean);
    return Object.fromEntries(
      variables.map((variable) => [variable.slice(0, variable.indexOf('=')), variable.slice(variable.indexOf('=') + 1)]),
    );
  }

  test('is a clean environment: what it needs, what the host said, what the agent knows of the run', async () => {
    const got = await environmentOf('sub/env', { env: { SCW_EVENT: 'CLOSE' } });
    const [run] = await agent.runs('limit=1');
    assert.equal(got.MEDIATOR_RUN, run?.id);
    // The agent's, where it has them.
    const inherited = ['HOME', 'USER', 'LOGNAME', 'LC_ALL', 'LC_CTYPE', 'TMPDIR', 'MEDIATOR_RUN'];
    const rest = Object.fromEntries(Object.entries(got).filter(([name]) => !inherited.includes(name)));
    assert.deepEqual(rest, {
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:' + path.dirname(process.execPath),
      LANG: 'C.UTF-8',
      TZ: 'Europe/Vienna',
      SCW_EVENT: 'CLOSE',
      MEDIATOR_SCRIPT: 'sub/env.sh',
      MEDIATOR_HOST: 'generic',
      MEDIATOR_STATE: path.join(agent.state, 'scripts/sub/env'),
    });
    assert.equal(statSync(path.join(agent.state, 'scripts/sub/env')).mode & 0o777, 0o700);
  });

  for (const transport of ['wss', 'ws'] as const) {
    test(`has the variables of SecureChange, whatever they hold, over ${transport}`, async () => {
      const env = {
        SCW_EVENT: 'CLOSE',
        SCW_EMPTY: '',
        SCW_QUOTED: ` "it's"\n\\n $(id)\t`,
        SCW_UTF8: 'äöü 日本',
        SCW_LONG: 'x'.repeat(32_768),
        SCW_: 'y',
      };
      const got = await environmentOf('sub/env', { env }, stubs[transport]);
      for (const [name, value] of Object.entries(env)) assert.equal(got[name], value, name);
    });
  }

  test('a variable of more than 32,768 bytes is refused, and named', async () => {
    const called = await stubs.wss.call(['sub/env'], { env: { SCW_LONG: 'x'.repeat(32_769) } });
    assertRefused(called, 64);
    assert.match(called.stderr, /SCW_LONG/);
  });

  test('has no other variable of the stub', async () => {
    const got = await environmentOf('sub/env', { env: { SECRET: 'x', scw_event: 'x', XSCW_EVENT: 'x', OLDPWD: '/' } });
    for (const name of ['SECRET', 'scw_event', 'XSCW_EVENT', 'OLDPWD']) assert.equal(got[name], undefined, name);
  });

  test('never has what changes programs, although agent.yaml lets it through', async () => {
    const harmful = {
      LD_PRELOAD: '',
      LD_LIBRARY_PATH: '/nowhere',
      PYTHONPATH: '/nowhere',
      PYTHONSTARTUP: '/nowhere',
      BASH_ENV: '',
      MEDIATOR_RUN: 'mine',
      MEDIATOR_STATE: '/',
    };
    const got = await environmentOf('sub/env', { env: { ...harmful, LANG: 'de_AT.UTF-8' } });
    for (const name of ['LD_PRELOAD', 'LD_LIBRARY_PATH', 'LD_BIND_NOW', 'PYTHONPATH', 'PYTHONSTARTUP', 'BASH_ENV'])
      assert.equal(got[name], undefined, name);
    assert.match(got.MEDIATOR_RUN ?? '', /^[0-9A-Z]{26}$/);
    assert.equal(got.MEDIATOR_STATE, path.join(agent.state, 'scripts/sub/env'));
    assert.equal(got.LANG, 'de_AT.UTF-8');
    assert.match(got.PATH ?? '', /^\/usr\/local\/sbin:/);
  });

  test('the manifest has the last word about its own variables', async () => {
    const got = await environmentOf('with-manifest', { env: { SCW_EVENT: 'CLOSE' } });
    assert.deepEqual([got.SC_URL, got.SCW_EVENT, got.TZ], ['https://sc', 'OURS', 'UTC']);
  });

  test('MEDIATOR_HOST is the host that the stub was made for', async () => {
    const stub = await makeStub(agent, { name: 'checkpoint/mediator.sh', options: ['--host', 'checkpoint'] });
    assert.equal((await environmentOf('sub/env', {}, stub)).MEDIATOR_HOST, 'checkpoint');
    assert.equal((await environmentOf('sub/env', { env: { MEDIATOR_HOST: 'securechange' } }, stub)).MEDIATOR_HOST, 'securechange');
  });

  test('its working directory is its own folder, wherever the stub was called', async () => {
    assertCalled(await stubs.wss.call(['sub/folder'], { cwd: '/usr' }), { stdout: `${agent.scripts}/sub\nbeside\n` });
  });

  test('or, where the manifest says so, a folder of its own, which persists', async () => {
    const folder = path.join(agent.state, 'scripts/in-state');
    assertCalled(await stubs.wss.call(['in-state']), { stdout: `${folder}\n1\n` });
    assertCalled(await stubs.wss.call(['in-state']), { stdout: `${folder}\n2\n` });
  });

  test('its umask is 022', async () => {
    assertCalled(await stubs.wss.shell('umask 077; exec bash "$stub" umask'), { stdout: '0022\n' });
  });

  test('it has descriptors 0, 1 and 2, and no other, with stdin and without, also while other runs go on', async () => {
    // What the process that runs the tests was given, and passed on to the agent without knowing, is not the agent's.
    const inherited = readdirSync('/proc/self/fd').flatMap((fd) =>
      existsSync(`/proc/self/fd/${fd}`) ? [readlinkSync(`/proc/self/fd/${fd}`)] : [],
    );
    const go = path.join(agent.dir, 'go');
    const others = Array.from({ length: 3 }, () => stubs.ws.start(['hold', go], { stdin: 'x'.repeat(100_000) }));
    for (const other of others) await other.printed('begun');
    for (const stdin of ['', 'x', Buffer.alloc(200_000)]) {
      const { stdout } = await stubs.ws.call(['descriptors'], { stdin });
      const open = stdout.toString().trim().split('\n');
      const own = open.filter((line) => /^[012] /.test(line) || !inherited.includes(line.slice(line.indexOf(' ') + 1)));
      assert.deepEqual(
        own.map((line) => line.split(' ')[0]),
        ['0', '1', '2'],
        stdout.toString(),
      );
    }
    writeFileSync(go, '');
    for (const other of others) assert.equal((await other.end()).code, 0);
  });

  test('they are pipes, stdin too if there is any', async () => {
    const { stdout } = await stubs.wss.call(['kinds'], { stdin: 'x' });
    assert.match(stdout.toString(), /^(pipe:\[\d+\]\n){3}$/);
    assert.equal(new Set(stdout.toString().split('\n')).size, 4);
  });

  test('it ignores no signal and blocks none', async () => {
    const { stdout } = await stubs.wss.shell('trap "" PIPE HUP USR2; exec bash "$stub" signals');
    assert.equal(stdout.toString(), 'SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n');
  });

  test('it leads a session of its own, and has no terminal', async () => {
    assertCalled(await stubs.wss.call(['session']), { stdout: 'True\nnone\n' });
  });

  test('a stub in another locale, with an odd IFS and a BASH_ENV, forwards the same bytes', async () => {
    const startup = path.join(agent.dir, 'startup.sh');
    writeFileSync(startup, 'set -euo pipefail\nIFS=,\nshopt -s nocasematch extglob nullglob\nalias printf=false\n');
    agent.script('echo.sh', '#!/bin/bash\nprintf "%s\\n" "$@"\nexec cat\n');
    const options = {
      stdin: 'ä\0ö,ü',
      env: { BASH_ENV: startup, LC_ALL: 'C.UTF-8', IFS: 'x', POSIXLY_CORRECT: '1', TMOUT: '1', SCW_EVENT: 'x,y' },
    };
    for (const stub of [stubs.wss, stubs.ws]) assertCalled(await stub.call(['echo', 'ä,b', '*'], options), { stdout: 'ä,b\n*\nä\0ö,ü' });
  });
});
