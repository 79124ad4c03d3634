/** The scripts folder is unmounted or moved away while the agent runs: whoever asks learns that, and not that a script does not exist. */
import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { after, before, suite, test } from 'node:test';
import { startAgent, type TestAgent } from '../../helpers/agent.ts';
import { dial, invoke, startMessage } from '../../helpers/stub.ts';
import { until } from '../../helpers/wait.ts';

suite('while the scripts folder is gone,', () => {
  let agent: TestAgent;
  before(async () => {
    agent = await startAgent();
    agent.script('hello.sh', '#!/bin/sh\necho hello\n');
  });
  after(() => agent.close());

  async function whileGone(work: () => Promise<void>): Promise<void> {
    const aside = `${agent.dir}/unmounted`;
    renameSync(agent.scripts, aside);
    try {
      await work();
    } finally {
      rmSync(agent.scripts, { recursive: true, force: true });
      renameSync(aside, agent.scripts);
    }
  }

  async function readiness(): Promise<{ status: number; body: string }> {
    const response = await fetch(`${agent.urls.http}/readyz`);
    return { status: response.status, body: await response.text() };
  }

  const cause = (): RegExp =>
    new RegExp(`the scripts folder ${agent.scripts} is not there, so that nothing was started; .*mount it or put it back`);

  test('calls of scripts and of events are refused with 126 and the true cause, and taken again when it is back', async () => {
    await whileGone(async () => {
      for (const fields of [{ script: 'hello' }, { script: 'deep/other' }, { event: 'CLOSE' }]) {
        const call = await dial(agent);
        const { script, ...start } = startMessage({ script: '', ...fields });
        call.send({ ...start, ...(script === '' ? {} : { script }) });
        call.send({ type: 'end', stdin: 0 });
        const { outcome, code, message } = await call.terminal();
        assert.deepEqual([call.run, outcome, code], [undefined, 'refused', 126], message);
        assert.match(message, cause());
      }
    });
    assert.equal((await invoke(agent, { script: 'hello' })).stdout.toString(), 'hello\n');
  });
  test('the agent is not ready, and says why', async () => {
    await whileGone(async () => {
      const { status, body } = await readiness();
      assert.equal(status, 503);
      assert.match(body, cause());
    });
    assert.equal((await readiness()).status, 200);
  });
  test('doctor and the listings say so', async () => {
    await whileGone(async () => {
      const { code, stdout } = await agent.command(['doctor']);
      assert.equal(code, 1);
      assert.match(stdout, new RegExp(`^FAIL {2}${agent.scripts}: is not a folder; `, 'm'));
      assert.match(stdout, new RegExp(`^FAIL {2}${agent.socket}: ${cause().source}`, 'm'));
      for (const command of ['scripts', 'tasks']) {
        const listed = await agent.command([command, 'list']);
        assert.notEqual(listed.code, 0);
        assert.match(listed.stderr, cause());
      }
    });
  });
  test('the log says it once, however many calls are refused, and once that it is back', async () => {
    const said = (what: RegExp): number => agent.logSoFar().filter(({ msg }) => what.test(msg)).length;
    const [gone, back] = [/^the scripts folder cannot be read/, /^the scripts folder can be read again/];
    await until('it is back for the log, too', () => said(gone) === said(back));
    const before = said(gone);
    await whileGone(async () => {
      await until('the log says that it is gone', () => said(gone) > before);
      for (let call = 0; call < 3; call += 1) await invoke(agent, { script: 'hello' });
    });
    await until('the log says that it is back', () => said(back) > before);
    assert.deepEqual([said(gone), said(back)], [before + 1, before + 1]);
    assert.equal(said(/^script changed and cannot run/), 0, 'not of every script');
  });
  test('an empty folder in its place has no such script, and a file is as good as nothing', async () => {
    await whileGone(async () => {
      mkdirSync(agent.scripts);
      assert.equal((await invoke(agent, { script: 'hello' })).terminal.code, 127);
      assert.equal((await readiness()).status, 200);
      rmSync(agent.scripts, { recursive: true });
      writeFileSync(agent.scripts, '');
      const { terminal } = await invoke(agent, { script: 'hello' });
      assert.equal(terminal.code, 126);
      assert.match(terminal.message, /the scripts folder .* cannot be read \(ENOTDIR\), so that nothing was started/);
    });
  });
});
