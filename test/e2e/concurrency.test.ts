import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { startAgent, type TestAgent } from '../helpers/agent.ts';
import { until } from '../helpers/wait.ts';
import { assertCalled, makeStubs, type Called, type Stub } from './stubs.ts';

const AT_ONCE = 50;

suite('many stubs at once', () => {
  let agent: TestAgent;
  let stubs: { wss: Stub; ws: Stub };

  before(async () => {
    agent = await startAgent({ settings: { limits: { concurrency: 32 } } });
    stubs = await makeStubs(agent);
    agent.script('echo.sh', '#!/bin/bash\nprintf "%s|%s|" "$1" "$SCW_EVENT"\nprintf "err %s" "$1" >&2\ncat\nexit "$1"\n');
    agent.script('all-together.sh', '#!/bin/bash\necho "$1" >>"$2"\nuntil (($(wc -l <"$2") >= $3)); do sleep 0.05; done\necho "$1"\n');
    agent.script('one-by-one.sh', '#!/bin/bash\nmkdir "$1" || exit 1\necho x >>"$1.count"\nrmdir "$1"\n', { manifest: 'concurrency: 1\n' });
  });
  after(() => agent.close());

  for (const transport of ['wss', 'ws'] as const) {
    test(`${AT_ONCE} over ${transport}: each gets its own output, errors and exit code, exactly`, async () => {
      const inputs = Array.from({ length: AT_ONCE }, (_, index) => randomBytes(index * 500));
      const calls = inputs.map((stdin, index) =>
        stubs[transport].call(['echo', String(index)], { stdin, env: { SCW_EVENT: `E${index}` } }),
      );
      for (const [index, called] of (await Promise.all(calls)).entries()) {
        const stdout = Buffer.concat([Buffer.from(`${index}|E${index}|`), inputs[index] ?? Buffer.alloc(0)]);
        assertCalled(called, { stdout, stderr: `err ${index}`, code: index });
      }
    });
  }

  test('32 runs go on side by side, and no more', async () => {
    const file = path.join(agent.dir, 'together');
    const calls = Array.from({ length: 32 }, (_, index) => stubs.ws.call(['all-together', String(index), file, '32']));
    for (const [index, called] of (await Promise.all(calls)).entries()) assertCalled(called, { stdout: `${index}\n` });
  });

  test('a script with concurrency 1 runs one by one', async () => {
    const folder = path.join(agent.dir, 'exclusive');
    const calls = Array.from({ length: 10 }, () => stubs.ws.call(['one-by-one', folder]));
    for (const called of await Promise.all(calls)) assertCalled(called, {});
    assert.equal(readFileSync(`${folder}.count`, 'utf8'), 'x\n'.repeat(10));
  });

  test('one that does not read holds up nobody else', async () => {
    const data = path.join(agent.dir, 'data');
    writeFileSync(data, randomBytes(8 * 1024 * 1024));
    agent.script('print.sh', '#!/bin/sh\nexec cat "$1"\n');
    const go = path.join(agent.dir, 'go');
    const line = 'bash "$stub" print "$file" | { until [[ -e $go ]]; do sleep 0.02; done; cat; }; exit "${PIPESTATUS[0]}"';
    const slow = stubs.wss.startShell(line, { env: { file: data, go } });
    await until('its run has ended', async () => (await agent.runs('script=print.sh'))[0]?.outcome === 'exited');
    const quick: Promise<Called>[] = Array.from({ length: 5 }, () => stubs.wss.call(['echo', '0'], { stdin: 'x' }));
    for (const called of await Promise.all(quick)) assertCalled(called, { stdout: '0||x', stderr: 'err 0' });
    assert.ok(slow.running);
    writeFileSync(go, '');
    assertCalled(await slow.end(), { stdout: readFileSync(data) });
  });
});
