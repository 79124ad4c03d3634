/** Runs of a running agent, as stubs see them. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { EXIT_CANCELLED, EXIT_TIMED_OUT } from '../../protocol/outcomes.ts';
import { exitCodeOf } from '../../protocol/failures.ts';
import { startAgent, type TestAgent } from '../helpers/agent.ts';
import { childrenOf, isAlive, residentBytes } from '../helpers/processes.ts';
import { dial, invoke, newToken, startMessage, type Call, type Invoked } from '../helpers/stub.ts';
import { soon, until } from '../helpers/wait.ts';

const MIB = 1024 * 1024;
const ACCEPT = { frame: 65_535, bulk: 2 };

suite('a run', () => {
  let agent: TestAgent;
  const file = (name: string): string => path.join(agent.dir, name);
  const lines = (name: string): string[] => (existsSync(file(name)) ? readFileSync(file(name), 'utf8').split('\n').filter(Boolean) : []);

  before(async () => {
    agent = await startAgent({ keys: [{ id: 'other', secret: 'o'.repeat(43), scripts: ['**'] }], settings: { 'resume-window': '500ms' } });
    agent.script('echo.sh', '#!/bin/bash\nprintf "%s|" "$@"; cat; echo err >&2\n');
    agent.script('exit.sh', '#!/bin/bash\nexit $1\n');
    // Says that it has begun, and ends when the test says so.
    agent.script(
      'gate.sh',
      `#!/bin/bash\necho begun >>${agent.dir}/$1.begun\nprintf first\nuntil [ -e ${agent.dir}/$1.go ]; do sleep 0.02; done\nprintf second\n`,
    );
  });
  after(() => agent.close());

  async function open(go: string): Promise<void> {
    agent.script('open.sh', `#!/bin/bash\ntouch ${file(go)}.go\n`);
    await invoke(agent, { script: 'open' });
  }

  /** A run that its timeout ends after it has printed its first word, however slowly the machine starts it. */
  async function timedOut(name: string, source: string, manifest: string, word: string): Promise<Invoked> {
    for (let timeout = 400; ; timeout *= 4) {
      agent.script(`${name}.sh`, source, { manifest: `timeout: ${timeout}ms\n${manifest}` });
      const invoked = await invoke(agent, { script: name });
      if (invoked.stdout.toString().startsWith(word) || timeout > 20_000) return invoked;
    }
  }

  async function begin(fields: Parameters<typeof startMessage>[0], options: Parameters<typeof dial>[1] = {}): Promise<Call> {
    const call = await dial(agent, options);
    call.send(startMessage(fields));
    call.send({ type: 'end', stdin: 0 });
    await call.accepted();
    return call;
  }

  suite('ends', () => {
    test('with its output, its exit code and its totals, over TLS and plaintext', async () => {
      for (const transport of ['ws', 'wss'] as const) {
        const stdin = Buffer.concat([Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)), Buffer.from('no newline')]);
        const { terminal, stdout, stderr } = await invoke(
          agent,
          { script: 'echo', args: ['a b', '', '$(id)', 'c\nd'] },
          { transport, stdin },
        );
        assert.deepEqual(stdout, Buffer.concat([Buffer.from('a b||$(id)|c\nd|'), stdin]));
        assert.equal(stderr.toString(), 'err\n');
        assert.deepEqual([terminal.outcome, terminal.code], ['exited', 0]);
      }
    });
    test('with any exit code', async () => {
      const codes = await Promise.all(
        [0, 1, 2, 63, 64, 77, 124, 125, 126, 127, 128, 143, 254, 255].map(async (code) => {
          const { terminal } = await invoke(agent, { script: 'exit', args: [String(code)] });
          return [terminal.outcome, terminal.code, code] as const;
        }),
      );
      for (const [outcome, actual, code] of codes) assert.deepEqual([outcome, actual], ['exited', code]);
    });
    test('with the signal that ended it', async () => {
      agent.script('signal.sh', '#!/bin/bash\nkill -$1 $$\n');
      for (const [name, number] of [
        ['TERM', 15],
        ['KILL', 9],
        ['SEGV', 11],
        ['PIPE', 13],
      ] as const) {
        const { terminal } = await invoke(agent, { script: 'signal', args: [name] });
        assert.deepEqual([terminal.outcome, terminal.code], ['signaled', 128 + number]);
      }
    });
    test('although nobody reads its stdin', async () => {
      agent.script('deaf.sh', '#!/bin/bash\nexec <&-\nexit 7\n');
      const { terminal } = await invoke(agent, { script: 'deaf' }, { stdin: Buffer.alloc(8 * MIB) });
      assert.equal(terminal.code, 7);
    });
    test('when it exits, although a grandchild holds its output; what that prints later is nobody’s', async () => {
      agent.script('daemon.sh', '#!/bin/bash\n(sleep 300; echo late) &\necho $! >"$1"\necho early\n');
      const call = await begin({ script: 'daemon', args: [file('daemon.pid')] });
      const terminal = await call.terminal();
      assert.deepEqual([terminal.code, call.stdout.toString()], [0, 'early\n']);
      const pid = Number(readFileSync(file('daemon.pid'), 'utf8'));
      assert.ok(isAlive(pid), 'it may live on');
      for (const left of [pid, ...childrenOf(pid)]) process.kill(left, 'SIGKILL');
      await call.ack();
    });
    test('with everything that it printed before it exited, also if it was much', async () => {
      agent.script('burst.py', '#!/usr/bin/env python3\nimport os\nfor n in range(64): os.write(1, bytes([n]) * 65536)\nos._exit(3)\n');
      const { terminal, stdout } = await invoke(agent, { script: 'burst' });
      assert.deepEqual([terminal.code, stdout.length], [3, 4 * MIB]);
      for (let n = 0; n < 64; n += 1) assert.equal(stdout[n * 65536 + 65535], n);
    });
    test('as cancelled, when it prints more than it may, also if it has exited with 0 by then', async () => {
      agent.script('much.sh', '#!/bin/bash\nprintf %01000d 1\nprintf %01000d 2 >&2\nexit 0\n', { manifest: 'output-limit: 1500B\n' });
      agent.script('endless.sh', '#!/bin/bash\nwhile :; do echo y; done\n', { manifest: 'output-limit: 64KiB\n' });
      for (const [script, limit] of [
        ['much', 1500],
        ['endless', 65536],
      ] as const) {
        const { terminal, stdout, stderr } = await invoke(agent, { script });
        assert.deepEqual([terminal.outcome, terminal.code], ['cancelled', EXIT_CANCELLED]);
        assert.equal(stdout.length + stderr.length, limit);
      }
    });
    test('as cancelled, when what it printed too much is seen only after its exit', async () => {
      const late = '#!/bin/bash\n(while kill -0 $$ 2>/dev/null; do :; done; printf %02000d 1) &\nexit 0\n';
      agent.script('late.sh', late, { manifest: 'output-limit: 1500B\n' });
      const { terminal, stdout } = await invoke(agent, { script: 'late' });
      assert.deepEqual([terminal.outcome, terminal.code, stdout.length], ['cancelled', EXIT_CANCELLED, 1500]);
    });
    test('well, when it prints exactly as much as it may', async () => {
      agent.script('exact.sh', '#!/bin/bash\nprintf %01000d 1\n', { manifest: 'output-limit: 1000B\n' });
      const { terminal, stdout } = await invoke(agent, { script: 'exact' });
      assert.deepEqual([terminal.outcome, terminal.code, stdout.length], ['exited', 0, 1000]);
    });
    test('when the time is over, with everything that it has started, although nothing of it obeys TERM', async () => {
      const pidsFile = file('deaf.pids');
      const source = `#!/bin/bash
trap "" TERM
echo $$ >${pidsFile}
(trap "" TERM; setsid bash -c 'echo $$ >>${pidsFile}; exec sleep 60') &
until (($(wc -l <${pidsFile}) == 2)); do sleep 0.01; done
printf before
while :; do sleep 1; done
`;
      const { terminal, stdout } = await timedOut('deaf-to-term', source, 'grace: 200ms\n', 'before');
      assert.deepEqual([terminal.outcome, terminal.code, stdout.toString()], ['timed-out', EXIT_TIMED_OUT, 'before']);
      const pids = lines('deaf.pids').map(Number);
      assert.equal(pids.length, 2);
      assert.ok(!pids.some(isAlive));
    });
    test('when the caller’s own time is over, if that is shorter', async () => {
      agent.script('sleep.sh', '#!/bin/bash\nsleep 60\n');
      const { terminal } = await invoke(agent, { script: 'sleep', timeout: 1 });
      assert.equal(terminal.outcome, 'timed-out');
    });
    test('with a last word, if it obeys TERM', async () => {
      const source = '#!/bin/bash\ntrap "printf tidied; exit 0" TERM\nprintf x\nwhile :; do sleep 0.02; done\n';
      const { terminal, stdout } = await timedOut('tidy', source, '', 'x');
      assert.deepEqual([terminal.outcome, terminal.code, stdout.toString()], ['timed-out', EXIT_TIMED_OUT, 'xtidied']);
    });
    test('when an operator cancels it', async () => {
      const call = await begin({ script: 'gate', args: ['cancelled'] });
      await until('the script has begun', () => lines('cancelled.begun').length === 1);
      assert.equal((await agent.api(`/v1/runs/${call.run}/cancel`, 'POST')).status, 200);
      const terminal = await call.terminal();
      assert.deepEqual([terminal.outcome, terminal.code], ['cancelled', EXIT_CANCELLED]);
      assert.equal((await agent.run(call.run ?? '')).outcome, 'cancelled');
      assert.equal((await agent.api(`/v1/runs/${call.run}/cancel`, 'POST')).status, 404);
      await call.ack();
    });
  });

  suite('belongs to the agent once it was accepted', () => {
    test('and finishes without its caller', async () => {
      const call = await begin({ script: 'gate', args: ['alone'] });
      call.destroy();
      await open('alone');
      const run = await until('the end of the run', async () => {
        const row = await agent.run(call.run ?? '');
        return row.outcome !== null && row;
      });
      assert.deepEqual([run.outcome, run.stdout], ['exited', 'firstsecond'.length]);
    });
    test('but is ended if its caller stays away, where the manifest says kill', async () => {
      agent.script('kill.sh', `#!/bin/bash\necho begun >>${agent.dir}/kill.begun\nsleep 60\n`, { manifest: 'on-caller-loss: kill\n' });
      const call = await begin({ script: 'kill' });
      call.destroy();
      const run = await until('the end of the run', async () => {
        const row = await agent.run(call.run ?? '');
        return row.outcome !== null && row;
      });
      assert.equal(run.outcome, 'cancelled');
    });
    test('and is ended at once if its caller gives up, where the manifest says kill', async () => {
      const call = await begin({ script: 'kill' });
      call.send({ type: 'cancel' });
      assert.equal(await soon('the close', call.closed), 1000);
      await until('the end of the run', async () => (await agent.run(call.run ?? '')).outcome === 'cancelled');
    });
    test('and goes on if its caller comes back in time, where the manifest says kill', async () => {
      agent.script('kill-gate.sh', readFileSync(path.join(agent.scripts, 'gate.sh')), { manifest: 'on-caller-loss: kill\n' });
      const token = newToken();
      const call = await begin({ script: 'kill-gate', args: ['back'], token });
      await until('the script has begun', () => lines('back.begun').length === 1);
      const again = await dial(agent); // before, so that it is in time however slow the machine is
      call.destroy();
      again.send({ type: 'resume', token, stdout: 0, stderr: 0, accept: ACCEPT });
      await again.accepted();
      const other = await begin({ script: 'kill' });
      other.destroy();
      await until('the resume window of another run is over', async () => (await agent.run(other.run ?? '')).outcome === 'cancelled');
      await open('back');
      assert.deepEqual([(await again.terminal()).outcome, again.stdout.toString()], ['exited', 'firstsecond']);
      await again.ack();
    });
    test('and a message that is not due ends the conversation, not the run', async () => {
      for (const message of [{ type: 'end', stdin: 0 }, { type: 'ack' }, startMessage({ script: 'echo' })] as const) {
        const call = await begin({ script: 'gate', args: ['untouched'] });
        call.send(message);
        const terminal = await call.terminal();
        assert.deepEqual([terminal.outcome, terminal.code], ['refused', exitCodeOf('out-of-order')]);
        await call.ack();
        assert.equal((await agent.run(call.run ?? '')).outcome, null);
      }
      await open('untouched');
      await until('the end of all runs', async () => (await agent.runs()).every(({ outcome }) => outcome !== null));
    });
    test('and what is sent too much after end brings one terminal record', async () => {
      const call = await dial(agent);
      const token = newToken();
      call.send(startMessage({ script: 'gate', args: ['too-much'], token }));
      call.send({ type: 'end', stdin: 0 });
      call.send({ type: 'end', stdin: 0 });
      call.sendBinary(Buffer.from('x'));
      assert.equal((await call.terminal()).outcome, 'refused');
      await open('too-much');
      assert.equal((await invoke(agent, { script: 'gate', args: ['too-much'], token })).terminal.code, 0);
      assert.equal(lines('too-much.begun').length, 1);
      await call.ack();
      assert.deepEqual(call.late, []);
    });
  });

  suite('is begun once for a token', () => {
    const once = (name: string): Parameters<typeof startMessage>[0] => ({ script: 'gate', args: [name], token: newToken() });

    test('that is sent again while the run goes on: both read it', async () => {
      const fields = once('twice');
      const first = await begin(fields);
      const second = await begin(fields);
      assert.equal(second.run, first.run);
      await open('twice');
      for (const call of [first, second]) {
        assert.deepEqual([(await call.terminal()).code, call.stdout.toString()], [0, 'firstsecond']);
        await call.ack();
      }
      assert.equal(lines('twice.begun').length, 1);
    });
    test('that is sent many times at once', async () => {
      const fields = once('many');
      await open('many');
      const calls = await Promise.all(Array.from({ length: 16 }, () => invoke(agent, fields)));
      assert.equal(new Set(calls.map(({ run }) => run)).size, 1);
      for (const { stdout } of calls) assert.equal(stdout.toString(), 'firstsecond');
      assert.equal(lines('many.begun').length, 1);
    });
    test('that is sent again when the run has ended: its output is read again', async () => {
      const fields = once('later');
      await open('later');
      const first = await invoke(agent, fields);
      const second = await invoke(agent, fields);
      assert.deepEqual(second, first);
      assert.equal(lines('later.begun').length, 1);
    });
    test('and is begun after all, if the first time it was refused', async () => {
      const fields = { script: 'comes-later', token: newToken() };
      assert.equal((await invoke(agent, fields)).terminal.code, exitCodeOf('no-such-script'));
      agent.script('comes-later.sh', '#!/bin/bash\nexit 9\n');
      assert.equal((await invoke(agent, fields)).terminal.code, 9);
    });
    test('and another key neither reads it nor begins it anew', async () => {
      const key = { id: 'other', secret: 'o'.repeat(43) };
      const fields = once('mine');
      await open('mine');
      const mine = await invoke(agent, fields);
      const theirs = await invoke(agent, fields, { key });
      assert.deepEqual([theirs.run, theirs.terminal.outcome, theirs.terminal.code], [undefined, 'refused', exitCodeOf('unknown-run')]);
      const call = await dial(agent, { key });
      call.send({ type: 'resume', token: fields.token ?? '', stdout: 0, stderr: 0, accept: ACCEPT });
      assert.equal((await call.terminal()).code, exitCodeOf('unknown-run'));
      await call.ack();
      assert.equal(lines('mine.begun').length, 1);
      assert.ok(mine.run);
    });
  });

  suite('is resumed', () => {
    test('at any byte, while it goes on and after its end', async () => {
      const token = newToken();
      const call = await begin({ script: 'gate', args: ['resumed'], token });
      await until('the first output', () => call.stdout.length === 5);
      call.destroy();
      const again = await dial(agent);
      again.send({ type: 'resume', token, stdout: 3, stderr: 0, accept: ACCEPT });
      await until('the rest of the first output', () => again.stdout.length === 2);
      await open('resumed');
      await again.terminal();
      assert.equal(again.stdout.toString(), 'stsecond');
      await again.ack();
      for (const from of [0, 5, 10, 11]) {
        const late = await dial(agent);
        late.send({ type: 'resume', token, stdout: from, stderr: 0, accept: ACCEPT });
        assert.deepEqual([(await late.terminal()).stdout, late.stdout.toString()], [11, 'firstsecond'.slice(from)]);
        await late.ack();
      }
    });
    test('and refused beyond its end', async () => {
      const token = newToken();
      await invoke(agent, { script: 'echo', token });
      const call = await dial(agent);
      call.send({ type: 'resume', token, stdout: 2, stderr: 0, accept: ACCEPT });
      assert.equal((await call.terminal()).code, exitCodeOf('unknown-run'));
      await call.ack();
    });
    test('in small frames without NUL, for a stub that needs them so', async () => {
      agent.script('zeros.py', '#!/usr/bin/env python3\nimport os\nos.write(1, b"a\\0\\0b" * 2000)\n');
      const call = await begin({ script: 'zeros', accept: { frame: 1024, bulk: 0 } });
      await call.terminal();
      assert.deepEqual(call.stdout, Buffer.from('a\0\0b'.repeat(2000)));
      await call.ack();
    });
  });

  test('whose caller never reads finishes, costs a bounded memory, and can be read later', async () => {
    agent.script('large.py', '#!/usr/bin/env python3\nimport os\nfor n in range(1024): os.write(1, b"x" * 65536)\n');
    const parts = [agent.part('front') ?? 0, agent.part('runner') ?? 0];
    await invoke(agent, { script: 'large' });
    const before = parts.map(residentBytes);
    const token = newToken();
    const call = await begin({ script: 'large', token });
    call.pause();
    await until('the end of the run', async () => (await agent.run(call.run ?? '')).outcome === 'exited');
    parts.forEach((pid, index) => assert.ok(residentBytes(pid) - (before[index] ?? 0) < 48 * MIB));
    call.resume();
    assert.equal((await call.terminal()).stdout, 64 * MIB);
    assert.equal(call.stdout.length, 64 * MIB);
    await call.ack();
  });
  test('whose output could not be kept has none of what came after the hole, although there is room again', async () => {
    agent.script(
      'hole.sh',
      `#!/bin/bash
file=${agent.state}/spool/$MEDIATOR_RUN/stdout
trap 'rmdir "$file"; echo second; exit 0' TERM
mkdir "$file" # nobody can write a file where there is a folder
echo first
while :; do sleep 0.02; done
`,
    );
    const { terminal, stdout } = await invoke(agent, { script: 'hole' });
    assert.equal(terminal.outcome, 'cancelled');
    assert.equal(stdout.toString(), '');
  });

  test('whose spool was removed under its reader is an error to that reader, and to nobody else', async () => {
    const runner = agent.part('runner');
    const token = newToken();
    const call = await begin({ script: 'large', token });
    call.pause();
    const run = call.run ?? '';
    await until('the end of the run', async () => (await agent.run(run)).outcome === 'exited');
    truncateSync(agent.spoolFile(run, 'stdout'), 0);
    call.resume();
    assert.deepEqual([(await call.terminal()).outcome, (await call.terminal()).code], ['refused', exitCodeOf('internal')]);
    await call.ack();
    assert.equal(agent.part('runner'), runner);
    assert.equal((await invoke(agent, { script: 'exit', args: ['0'] })).terminal.code, 0);
  });
  test('gets the environment that scripts/README.md promises, and nothing else', async () => {
    agent.script('sub/env.sh', '#!/bin/bash\nenv -0 | sort -z | tr "\\0" "\\n"; pwd; umask\n', { manifest: 'env: { A: "b c" }\n' });
    const { run, stdout } = await invoke(agent, {
      script: 'sub/env',
      env: { SCW_EVENT: 'CLOSE', LD_PRELOAD: 'x', OTHER: 'y' },
      host: 'generic',
    });
    const [umask, cwd, ...env] = stdout.toString().trim().split('\n').reverse();
    const given = Object.fromEntries(env.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
    const { A, SCW_EVENT, MEDIATOR_RUN, MEDIATOR_SCRIPT, MEDIATOR_HOST, MEDIATOR_STATE, LD_PRELOAD, OTHER, NODE_NO_WARNINGS } = given;
    assert.deepEqual(
      { A, SCW_EVENT, MEDIATOR_RUN, MEDIATOR_SCRIPT, MEDIATOR_HOST },
      { A: 'b c', SCW_EVENT: 'CLOSE', MEDIATOR_RUN: run, MEDIATOR_SCRIPT: 'sub/env.sh', MEDIATOR_HOST: 'generic' },
    );
    assert.deepEqual([LD_PRELOAD, OTHER, NODE_NO_WARNINGS], [undefined, undefined, undefined]);
    assert.ok(MEDIATOR_STATE !== undefined && existsSync(MEDIATOR_STATE));
    assert.deepEqual([cwd, umask], [path.join(agent.scripts, 'sub'), '0022']);
  });
});

suite('an agent with one slot and a queue of one', () => {
  let agent: TestAgent;
  after(() => agent.close());
  before(async () => {
    agent = await startAgent({ settings: { limits: { concurrency: 1, queue: 1 } } });
    agent.script('wait.sh', `#!/bin/bash\necho $1 >>${agent.dir}/ledger\nuntil [ -e ${agent.dir}/go ]; do sleep 0.02; done\n`);
  });

  test('takes two runs, refuses the third with 75, and lets who waits be cancelled', async () => {
    const calls: Call[] = [];
    for (const name of ['a', 'b']) {
      const call = await dial(agent);
      call.send(startMessage({ script: 'wait', args: [name] }));
      call.send({ type: 'end', stdin: 0 });
      await call.accepted();
      calls.push(call);
    }
    const [a, b] = calls;
    assert.ok(a && b);
    assert.equal((await agent.run(b.run ?? '')).started, null);
    const refused = await invoke(agent, { script: 'wait', args: ['c'] });
    assert.deepEqual([refused.run, refused.terminal.outcome, refused.terminal.code], [undefined, 'refused', 75]);
    assert.equal((await agent.runs()).length, 2);
    await agent.api(`/v1/runs/${b.run}/cancel`, 'POST');
    assert.deepEqual([(await b.terminal()).outcome, (await agent.run(b.run ?? '')).started], ['cancelled', null]);
    await b.ack();
    const impatient = await invoke(agent, { script: 'wait', args: ['d'], timeout: 1 });
    assert.deepEqual([impatient.terminal.outcome, impatient.terminal.code], ['refused', 75]);
    assert.ok(impatient.run);
    assert.equal((await agent.run(impatient.run)).started, null);
    writeFileSync(path.join(agent.dir, 'go'), '');
    assert.equal((await a.terminal()).code, 0);
    await a.ack();
    assert.deepEqual(readFileSync(path.join(agent.dir, 'ledger'), 'utf8'), 'a\n');
  });
});
