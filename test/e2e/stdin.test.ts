import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { openSync, closeSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { startAgent, type TestAgent } from '../helpers/agent.ts';
import { assertCalled, makeStubs, pathWith, type Called, type Stub } from './stubs.ts';

const ALL_BYTES = Buffer.from(Array.from({ length: 256 }, (_, code) => code));
const MIB = 1024 * 1024;

const sha256 = (data: Buffer): string => `${createHash('sha256').update(data).digest('hex')}  -\n`;

suite('stdin arrives byte for byte', () => {
  let agent: TestAgent;
  let stubs: { wss: Stub; ws: Stub };

  before(async () => {
    agent = await startAgent();
    stubs = await makeStubs(agent);
    agent.script('echo.sh', '#!/bin/sh\nexec cat\n');
    agent.script('digest.sh', '#!/bin/sh\nexec sha256sum\n');
    agent.script('refuse-stdin.sh', '#!/bin/sh\nexec <&-\necho closed\nexit 4\n');
    agent.script('first-line.sh', '#!/bin/bash\nread -r line\nprintf "%s" "$line"\n');
    agent.script(
      'named.sh',
      '#!/bin/bash\ncat /dev/stdin | { read -r line; printf "%s" "$line" >/dev/stdout; }\nprintf done >/dev/stderr\n',
    );
  });
  after(() => agent.close());

  for (const transport of ['wss', 'ws'] as const) {
    const pods: [name: string, path: () => string][] = [
      ['coreutils', () => '/usr/bin:/bin'],
      ['bash alone', () => pathWith(agent, ...(transport === 'wss' ? ['openssl'] : []))],
    ];
    for (const [pod, programs] of pods) {
      const echo = (stdin: string | Buffer): Promise<Called> => stubs[transport].call(['echo'], { stdin, path: programs() });

      suite(`over ${transport}, from a pod with ${pod}`, () => {
        test('nothing', async () => assertCalled(await echo(''), { stdout: '' }));

        for (const [what, stdin] of [
          ['one byte', 'x'],
          ['one NUL', '\0'],
          ['one newline', '\n'],
          ['a ticket without a final newline', '<ticket_info><id>1</id></ticket_info>'],
          ['text with several final newlines', 'a\n\n\n'],
          ['NULs at both ends and in a row', '\0\0a\0\0\0b\n\0'],
          ['every byte value', ALL_BYTES],
          ['what openssl takes for commands', 'Q\nR\nk\nK\n'],
          ['what a shell and printf would change', '%s\\n\\0\'"$(id)`id`\\'],
        ] as const) {
          test(what, async () => assertCalled(await echo(Buffer.from(stdin)), { stdout: Buffer.from(stdin) }));
        }

        // Around the sizes at which the stub goes on in another way: its first read, and a frame.
        for (const size of [4095, 4096, 4097, 65_535, 65_536, 65_537, 69_632, 69_633]) {
          test(`${size} random bytes`, async () => {
            const stdin = randomBytes(size);
            assertCalled(await echo(stdin), { stdout: stdin });
          });
        }

        const large = pod === 'coreutils' ? 16 * MIB : MIB / 2;
        test(`${large / MIB} MiB of random bytes`, async () => {
          const stdin = randomBytes(large);
          assertCalled(await stubs[transport].call(['digest'], { stdin, path: programs() }), { stdout: sha256(stdin) });
        });

        test('that comes in pieces', async () => {
          const call = stubs[transport].start(['echo'], { stdin: null, path: programs() });
          const pieces = [randomBytes(10), Buffer.from('\0'), randomBytes(5000), Buffer.from('line\n'), randomBytes(70_000)];
          for (const piece of pieces) {
            call.write(piece);
            await new Promise((resolve) => setImmediate(resolve));
          }
          call.endStdin();
          assertCalled(await call.end(), { stdout: Buffer.concat(pieces) });
        });

        test('and a script that closes it at once ends as it wants to', async () => {
          const stdin = randomBytes(300_000);
          const called = await stubs[transport].call(['refuse-stdin'], { stdin, path: programs() });
          assertCalled(called, { stdout: 'closed\n', code: 4 });
        });

        test('and a script that reads one line does not miss the rest', async () => {
          const stdin = `first\n${'x'.repeat(300_000)}`;
          assertCalled(await stubs[transport].call(['first-line'], { stdin, path: programs() }), { stdout: 'first' });
        });
      });
    }

    test(`from a file, over ${transport}`, async () => {
      const file = path.join(agent.dir, 'stdin');
      const stdin = randomBytes(300_000);
      writeFileSync(file, stdin);
      assertCalled(await stubs[transport].shell('bash "$stub" echo <"$file"', { env: { file } }), { stdout: stdin });
    });

    test(`from a pipe, over ${transport}`, async () => {
      const stdin = randomBytes(300_000);
      assertCalled(await stubs[transport].shell('cat | bash "$stub" echo | cat', { stdin }), { stdout: stdin });
    });

    test(`from /dev/null, and when it is closed, over ${transport}`, async () => {
      assertCalled(await stubs[transport].shell('bash "$stub" echo </dev/null'), {});
      assertCalled(await stubs[transport].shell('bash "$stub" echo <&-'), {});
    });
  }

  test('a script may open /dev/stdin, /dev/stdout and /dev/stderr', async () => {
    assertCalled(await stubs.wss.call(['named'], { stdin: 'line\n' }), { stdout: 'line', stderr: 'done' });
  });

  test('a script without stdin may open /dev/stdin', async () => {
    assertCalled(await stubs.wss.call(['named']), { stderr: 'done' });
  });

  test('a file is read from where the caller left off, and not beyond what the stub needs', async () => {
    const file = path.join(agent.dir, 'lines');
    writeFileSync(file, 'one\ntwo\n');
    closeSync(openSync(file, 'r'));
    const called = await stubs.ws.shell('{ read -r first; bash "$stub" echo; } <"$file"', { env: { file } });
    assertCalled(called, { stdout: 'two\n' });
  });

  test('more than the agent takes is refused, and nothing is started', async () => {
    const before = (await agent.runs()).length;
    const called = await stubs.wss.shell('head -c 68157440 /dev/zero | bash "$stub" echo');
    assert.equal(called.code, 64, called.stderr);
    assert.match(called.stderr, /^mediator: [^\n]+\n$/);
    assert.equal((await agent.runs()).length, before);
  });
});
