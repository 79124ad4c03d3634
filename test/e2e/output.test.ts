import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { startAgent, type TestAgent } from '../helpers/agent.ts';
import { until } from '../helpers/wait.ts';
import { assertCalled, makeStubs, pathWith, type Called, type Stub } from './stubs.ts';

const ALL_BYTES = Buffer.from(Array.from({ length: 256 }, (_, code) => code));
const MIB = 1024 * 1024;

const sha256 = (data: Buffer): string => createHash('sha256').update(data).digest('hex');

/** Text in lines, as scripts print it. */
const lines = (bytes: number): Buffer =>
  Buffer.from('the quick brown fox jumps over the lazy dog 0123456789 äöü\n'.repeat(Math.ceil(bytes / 62))).subarray(0, bytes);

suite('output arrives byte for byte', () => {
  let agent: TestAgent;
  let stubs: { wss: Stub; ws: Stub };

  before(async () => {
    agent = await startAgent();
    stubs = await makeStubs(agent);
    agent.script('print.sh', '#!/bin/sh\nexec cat "$1"\n');
    agent.script('print-both.sh', '#!/bin/sh\ncat "$1" >&2 &\ncat "$1"\nwait\n');
    agent.script('interleave.sh', '#!/bin/bash\nfor ((i = 0; i < 2000; i++)); do printf "out %d\\n" $i; printf "err %d\\n" $i >&2; done\n');
    agent.script('first-then-rest.sh', '#!/bin/bash\nprintf first\nuntil [[ -e $1 ]]; do sleep 0.02; done\nprintf rest\n');
    agent.script(
      'named.sh',
      '#!/bin/bash\necho one >/dev/stdout\necho two >/dev/stderr\necho three >>/dev/stdout\necho four >/proc/self/fd/2\n',
    );
    agent.script('endless.sh', '#!/bin/sh\nexec yes endless\n', { manifest: 'on-caller-loss: kill\n' });
    agent.script('unwilling.sh', '#!/bin/sh\nexec >&- 2>&-\nexit 6\n');
  });
  after(() => agent.close());

  /** A file for scripts to print. */
  function content(name: string, data: Buffer): string {
    const file = path.join(agent.dir, name);
    writeFileSync(file, data);
    return file;
  }

  for (const transport of ['wss', 'ws'] as const) {
    const pods: [name: string, path: () => string][] = [
      ['coreutils', () => '/usr/bin:/bin'],
      ['bash alone', () => pathWith(agent, ...(transport === 'wss' ? ['openssl'] : []))],
    ];
    for (const [pod, programs] of pods) {
      const call = (...args: string[]): Promise<Called> => stubs[transport].call(args, { path: programs() });

      suite(`over ${transport}, to a pod with ${pod}`, () => {
        for (const [what, data] of [
          ['nothing', ''],
          ['one NUL', '\0'],
          ['one newline', '\n'],
          ['a verdict without a final newline', '{"result":"success"}'],
          ['NULs at both ends and in a row', '\0\0a\0\0\0b\n\0'],
          ['every byte value', ALL_BYTES],
          ['every byte value, 400 times', Buffer.concat(Array.from({ length: 400 }, () => ALL_BYTES))],
          ['a run of 100,000 NULs', Buffer.alloc(100_000)],
          ['what printf would change', '%s\\n\\0%d\\'],
        ] as const) {
          test(what, async () => {
            const wanted = Buffer.from(data);
            assertCalled(await call('print', content('data', wanted)), { stdout: wanted });
          });
        }

        // Around the sizes at which the stub reads in another way: a short read, dd, and a frame.
        for (const size of [2047, 2048, 32_767, 32_768, 65_535, 65_536, 131_073]) {
          test(`${size} random bytes`, async () => {
            const wanted = randomBytes(size);
            assertCalled(await call('print', content('data', wanted)), { stdout: wanted });
          });
        }

        const [text, binary] = pod === 'coreutils' ? [8 * MIB, 4 * MIB] : [4 * MIB, MIB / 4];
        test(`${text / MIB} MiB of text`, async () => {
          const wanted = lines(text);
          assertCalled(await call('print', content('data', wanted)), { stdout: wanted });
        });
        test(`${binary / MIB} MiB of random bytes`, async () => {
          const wanted = randomBytes(binary);
          assertCalled(await call('print', content('data', wanted)), { stdout: wanted });
        });

        const both = pod === 'coreutils' ? randomBytes(MIB) : lines(MIB);
        test('a megabyte on both streams at once', async () => {
          assertCalled(await call('print-both', content('data', both)), { stdout: both, stderr: both });
        });

        test('both streams in turns', async () => {
          const wanted = (name: string): string => Array.from({ length: 2000 }, (_, index) => `${name} ${index}\n`).join('');
          assertCalled(await call('interleave'), { stdout: wanted('out'), stderr: wanted('err') });
        });

        test('what is printed slowly arrives at once', async () => {
          const go = path.join(agent.dir, `go-${transport}-${pod}`);
          const slow = stubs[transport].start(['first-then-rest', go], { path: programs() });
          await slow.printed('first');
          writeFileSync(go, '');
          assertCalled(await slow.end(), { stdout: 'firstrest' });
        });

        test('a script that closes its output is nothing special', async () => {
          assertCalled(await call('unwilling'), { code: 6 });
        });
      });
    }

    test(`100 MiB of random bytes over ${transport}`, async () => {
      const wanted = randomBytes(100 * MIB);
      const { code, stdout, stderr } = await stubs[transport].call(['print', content('data', wanted)]);
      assert.equal(stderr, '');
      assert.equal(sha256(stdout), sha256(wanted));
      assert.equal(code, 0);
    });

    test(`to files, appended to what is there, over ${transport}`, async () => {
      const wanted = randomBytes(300_000);
      const target = content('target', Buffer.from('before\n'));
      const env = { file: content('data', wanted), target };
      assertCalled(await stubs[transport].shell('bash "$stub" print-both "$file" >>"$target" 2>/dev/null', { env }), {});
      assert.ok(readFileSync(target).equals(Buffer.concat([Buffer.from('before\n'), wanted])));
    });

    test(`to a reader that begins when the run is over, over ${transport}`, async () => {
      const wanted = randomBytes(3 * MIB);
      const go = path.join(agent.dir, `go-${transport}`);
      const line = 'bash "$stub" print "$file" | { until [[ -e $go ]]; do sleep 0.02; done; sha256sum; }; exit "${PIPESTATUS[0]}"';
      const call = stubs[transport].startShell(line, { env: { file: content('data', wanted), go } });
      await until('the run has ended', async () => {
        const [run] = await agent.runs('limit=1');
        return run?.stdout === wanted.length && run.outcome === 'exited';
      });
      writeFileSync(go, '');
      assertCalled(await call.end(), { stdout: `${sha256(wanted)}  -\n` });
    });

    test(`to a reader that leaves: the run is cancelled, and the stub ends as a script would, over ${transport}`, async () => {
      const line = 'bash "$stub" endless | head -c 10; exit "${PIPESTATUS[0]}"';
      const { code, stdout } = await stubs[transport].shell(line);
      assert.equal(code, 141);
      assert.equal(stdout.toString(), 'endless\nen');
      await until('the run has ended', async () => (await agent.runs('limit=1'))[0]?.outcome ?? undefined);
    });
  }

  test('a script may open /dev/stdout and /dev/stderr', async () => {
    assertCalled(await stubs.wss.call(['named']), { stdout: 'one\nthree\n', stderr: 'two\nfour\n' });
  });
});
