import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { startAgent, type TestAgent } from '../helpers/agent.ts';
import { childrenOf, isAlive, processesNaming } from '../helpers/processes.ts';
import { until } from '../helpers/wait.ts';
import { assertCalled, assertRefused, makeStubs, type Stub } from './stubs.ts';

suite('the stub ends as the script did', () => {
  let agent: TestAgent;
  let stubs: { wss: Stub; ws: Stub };

  before(async () => {
    agent = await startAgent({ settings: { defaults: { timeout: '60s', grace: '200ms' } } });
    stubs = await makeStubs(agent);
    agent.script('exit.sh', '#!/bin/sh\nexit "$1"\n');
    agent.script('print-and-exit.sh', '#!/bin/sh\necho out\necho err >&2\nexit "$1"\n');
    agent.script('die.sh', '#!/bin/sh\necho dying\nkill -"$1" $$\n');
  });
  after(() => agent.close());

  test('with every exit code from 0 to 255', async () => {
    const codes = Array.from({ length: 256 }, (_, code) => code);
    const queue = codes.values();
    await Promise.all(
      Array.from({ length: 4 }, async () => {
        for (const code of queue) assertCalled(await stubs.ws.call(['exit', String(code)]), { code });
      }),
    );
  });

  for (const code of [0, 1, 69, 75, 124, 125, 127, 255]) {
    test(`with ${code} over TLS, after its output`, async () => {
      assertCalled(await stubs.wss.call(['print-and-exit', String(code)]), { code, stdout: 'out\n', stderr: 'err\n' });
    });
  }

  for (const [name, number] of Object.entries({ HUP: 1, INT: 2, ABRT: 6, KILL: 9, USR1: 10, SEGV: 11, PIPE: 13, TERM: 15 })) {
    test(`with ${128 + number} when SIG${name} killed it`, async () => {
      const { code, stdout, stderr } = await stubs.wss.call(['die', name]);
      assert.equal(code, 128 + number);
      assert.equal(stdout.toString(), 'dying\n');
      assert.match(stderr, new RegExp(`^mediator: .*signal ${number}\\b.*\n$`));
    });
  }

  test('with 143 when it ended its own process group', async () => {
    agent.script('end-group.sh', '#!/bin/bash\necho begun\nkill 0\nexec sleep 100\n');
    const { code, stdout } = await stubs.wss.call(['end-group']);
    assert.equal(code, 143);
    assert.equal(stdout.toString(), 'begun\n');
  });

  test('with 143 when it printed more than its output-limit, and as much as that arrives', async () => {
    agent.script('talk.sh', '#!/bin/sh\nexec yes\n', { manifest: 'output-limit: 1MiB\n' });
    const { code, stdout, stderr } = await stubs.wss.call(['talk']);
    assert.equal(code, 143);
    assert.equal(stdout.length, 1024 * 1024);
    assert.match(stderr, /^mediator: [^\n]*output-limit[^\n]*\n$/);
  });

  test('although nobody can read its stderr', async () => {
    assertCalled(await stubs.wss.shell('bash "$stub" print-and-exit 5 2>&-'), { code: 5, stdout: 'out\n' });
    assertCalled(await stubs.wss.shell('bash "$stub" print-and-exit 5 2>/dev/full'), { code: 5, stdout: 'out\n' });
  });

  test('although nobody can read its stdout, if it prints nothing', async () => {
    assertCalled(await stubs.wss.shell('bash "$stub" exit 5 >&-'), { code: 5 });
  });

  suite('at its timeout', () => {
    /** Waits until the script has written the process ids of all that it started. */
    const pidsIn = (file: string, count: number): Promise<number[]> =>
      until('the process ids', () => {
        const pids = existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean).map(Number) : [];
        return pids.length >= count && pids;
      });

    const trees: [what: string, source: string, count: number][] = [
      ['a script that sleeps', 'echo $$ >"$1"; exec sleep 100', 1],
      ['a script that ignores TERM', 'trap "" TERM; echo $$ >"$1"; while :; do sleep 100; done', 1],
      ['a script with children', 'sleep 100 & echo $! >"$1"; sleep 100 & echo $! >>"$1"; wait', 2],
      ['a child in a session of its own', 'setsid sleep 100 & echo $! >"$1"; wait', 1],
      [
        'a daemon that forked twice and ignores TERM',
        `(setsid bash -c 'trap "" TERM HUP; (echo $BASHPID >"$0"; exec sleep 100 </dev/null >/dev/null 2>&1) &' "$1" &); sleep 100`,
        1,
      ],
      ['a daemon that holds its output', `(setsid bash -c '(echo $BASHPID >"$0"; exec sleep 100) &' "$1" &); sleep 100`, 1],
    ];
    for (const [index, [what, source, count]] of trees.entries()) {
      test(`${what} is ended, with 124`, async () => {
        agent.script(`tree-${index}.sh`, `#!/bin/bash\necho begun\n${source}\n`, { manifest: 'timeout: 1s\n' });
        const file = path.join(agent.dir, `pids-${index}`);
        const call = stubs.wss.start([`tree-${index}`, file]);
        const pids = await pidsIn(file, count);
        const { code, stdout, stderr } = await call.end();
        assert.equal(code, 124);
        assert.equal(stdout.toString(), 'begun\n');
        assert.match(stderr, /^mediator: [^\n]*longer than[^\n]*\n$/);
        assert.deepEqual(pids.filter(isAlive), []);
      });
    }

    test('which the caller may shorten', async () => {
      agent.script('sleep.sh', '#!/bin/sh\nexec sleep 100\n');
      const { code, stderr } = await stubs.wss.call(['sleep'], { env: { MEDIATOR_TIMEOUT: '1' } });
      assert.equal(code, 124, stderr);
    });
  });

  for (const transport of ['wss', 'ws'] as const) {
    test(`within a second, although a grandchild holds stdout; which lives on and prints, over ${transport}`, async () => {
      const source = `#!/bin/bash
(
  for ((i = 0; i < 600; i++)); do [[ ! -e $1.go ]] || break; sleep 0.05; done
  for ((i = 0; i < 20000; i++)); do echo "late $i" || exit; done
  echo survived >"$1.late"
) &
echo early
printf '%(%s)T' -1 >/dev/null
echo "$EPOCHREALTIME" >"$1.exit"
exit 3
`;
      agent.script('leave-a-child.sh', source);
      // The machine may be busy; the promise is about the product, so the best of three counts.
      const delays: number[] = [];
      for (let attempt = 0; attempt < 3 && !delays.some((delay) => delay < 1000); attempt += 1) {
        const base = path.join(agent.dir, `left-${transport}-${attempt}`);
        const called = await stubs[transport].call(['leave-a-child', base]);
        delays.push(Date.now() - Number(readFileSync(`${base}.exit`, 'utf8')) * 1000);
        assertCalled(called, { stdout: 'early\n', code: 3 });
        writeFileSync(`${base}.go`, '');
        await until('the grandchild has printed and lives', () => existsSync(`${base}.late`));
      }
      assert.ok(
        delays.some((delay) => delay < 1000),
        `${delays.join(', ')} ms`,
      );
    });
  }

  suite('when the stub is told to end', () => {
    for (const [name, number] of [
      ['TERM', 15],
      ['INT', 2],
      ['HUP', 1],
    ] as const) {
      test(`by SIG${name}: ${128 + number}, and the run goes on, because that is the default`, async () => {
        const go = path.join(agent.dir, `go-${name}`);
        agent.script('wait.sh', '#!/bin/bash\necho begun\nuntil [[ -e $1 ]]; do sleep 0.02; done\necho done\n');
        const call = stubs.wss.start(['wait', go]);
        await call.printed('begun');
        call.kill(`SIG${name}`);
        const { code, stderr } = await call.end();
        assert.equal(code, 128 + number);
        assert.match(stderr, /^mediator: [^\n]+\n$/);
        writeFileSync(go, '');
        await until('the run ends by itself', async () => (await agent.runs('limit=1'))[0]?.outcome === 'exited');
      });
    }

    test('while it waits for its stdin: nothing is started, and it says why it ended', async () => {
      const before = (await agent.runs()).length;
      const call = stubs.wss.start(['exit', '0'], { stdin: null });
      call.write('the beginning');
      await until('it has shaken hands', () => childrenOf(call.pid).length > 0);
      call.kill('SIGTERM');
      assertRefused(await call.end(), 143);
      assert.equal((await agent.runs()).length, before);
    });

    test('the run is ended, where the manifest says so', async () => {
      agent.script('wait-or-die.sh', '#!/bin/bash\necho begun\nexec sleep 100\n', { manifest: 'on-caller-loss: kill\n' });
      const call = stubs.wss.start(['wait-or-die']);
      await call.printed('begun');
      call.kill('SIGTERM');
      assert.equal((await call.end()).code, 143);
      await until('the run is cancelled', async () => (await agent.runs('limit=1'))[0]?.outcome === 'cancelled');
    });
  });

  test('with 143 when an operator cancelled the run, and nothing of it is left', async () => {
    agent.script('forever.sh', '#!/bin/bash\necho begun\nsleep 100 &\nwait\n');
    const call = stubs.wss.start(['forever']);
    await call.printed('begun');
    const [run] = await agent.runs('limit=1');
    assert.ok(run);
    assert.equal((await agent.command(['runs', 'cancel'], [run.id])).code, 0);
    const { code, stderr } = await call.end();
    assert.equal(code, 143);
    assert.match(stderr, /^mediator: [^\n]+\n$/);
    assert.deepEqual(processesNaming(run.id), []);
  });
});
