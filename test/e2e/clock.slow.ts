/** The wall clock of front, runner and keeper jumps (libfaketime) while timeout, grace period and a queue deadline run: nobody ends earlier or later for it. */
import assert from 'node:assert/strict';
import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { z } from 'zod';
import { prepareAgent, type TestAgent } from '../helpers/agent.ts';
import { newFolder } from '../helpers/folder.ts';
import { processesNaming } from '../helpers/processes.ts';
import { until } from '../helpers/wait.ts';
import { makeStub, type Stub } from './stubs.ts';

const FAKETIME = ['x86_64', 'aarch64']
  .map((machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketime.so.1`)
  .find((file) => existsSync(file));
const HOURS = 3600;
const skip = FAKETIME === undefined && 'libfaketime is not installed (Debian: apt-get install libfaketime)';

suite('the wall clock jumps', { skip }, () => {
  const folder = newFolder();
  const clock = path.join(folder, 'clock');
  let agent: TestAgent;
  let stub: Stub;

  before(async () => {
    writeFileSync(clock, '+0s\n');
    agent = await prepareAgent({
      settings: { limits: { concurrency: 1 } },
      env: {
        LD_PRELOAD: FAKETIME ?? '',
        FAKETIME_TIMESTAMP_FILE: clock,
        FAKETIME_NO_CACHE: '1',
        FAKETIME_DONT_FAKE_MONOTONIC: '1',
        NO_FAKE_STAT: '1',
      },
    });
    // Says when it was told to end, and does not.
    agent.script('stubborn.sh', '#!/bin/bash\ntrap "echo told" TERM\necho begun\nwhile :; do sleep 0.05; done\n', {
      manifest: 'timeout: 3s\ngrace: 2s\n',
    });
    agent.script('wait.sh', '#!/bin/bash\necho begun\nuntil [[ -e $1 ]]; do sleep 0.02; done\n');
    await agent.start();
    stub = await makeStub(agent, { url: 'ws' });
  });
  after(async () => {
    await agent.close();
    rmSync(folder, { recursive: true });
  });

  /** Felt at once: every question for the time looks into the file. */
  function jump(seconds: number): void {
    writeFileSync(`${clock}.new`, `${seconds >= 0 ? '+' : ''}${seconds}s\n`);
    renameSync(`${clock}.new`, clock);
  }

  /** What the agent wrote last is from another time than ours. */
  async function assertJumped(seconds: number): Promise<void> {
    await stub.call(['of-no-such-name']);
    const time = (): number => Date.parse(String(agent.logSoFar().at(-1)?.time));
    await until('the agent lives at another time', () => Math.abs(time() - Date.now() - seconds * 1000) < 600_000);
  }

  for (const [where, seconds] of [
    ['forward', 2 * HOURS],
    ['back', -2 * HOURS],
  ] as const) {
    test(`${where}: a timeout and a grace period last as long as they do`, async () => {
      const begun = performance.now();
      const call = stub.start(['stubborn']);
      await call.printed('begun');
      jump(seconds);
      await assertJumped(seconds);
      await call.printed('told');
      assert.ok(performance.now() - begun >= 3000, 'not before its timeout');
      const told = performance.now();
      jump(0);
      const { code } = await call.end();
      assert.equal(code, 124);
      assert.ok(performance.now() - told >= 1500, 'not before its grace period');
      assert.deepEqual(processesNaming((await agent.runs('limit=1'))[0]?.id ?? 'none'), []);
    });

    test(`${where}: who waits for a slot waits as long as he does`, async () => {
      const go = path.join(folder, `go-${where}`);
      const first = stub.start(['wait', go]);
      await first.printed('begun');
      const begun = performance.now();
      const second = stub.start(['wait', go], { env: { MEDIATOR_TIMEOUT: '4' } });
      await until('it waits', async () => z.object({ queued: z.number() }).parse((await agent.api('/healthz')).body).queued === 1);
      jump(seconds);
      const { code, stderr } = await second.end();
      assert.equal(code, 75, stderr);
      assert.ok(performance.now() - begun >= 2900, 'not before a second is left of its 4');
      jump(0);
      writeFileSync(go, '');
      assert.equal((await first.end()).code, 0);
    });
  }
});
