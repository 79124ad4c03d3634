import { after, before, suite, test } from 'node:test';
import { startAgent, type TestAgent } from '../helpers/agent.ts';
import { assertCalled, assertRefused, makeStubs, type Stub } from './stubs.ts';

const CONTROLS = String.fromCharCode(...Array.from({ length: 31 }, (_, code) => code + 1), 127);

suite('arguments arrive as they were given', () => {
  let agent: TestAgent;
  let stubs: { wss: Stub; ws: Stub };

  before(async () => {
    agent = await startAgent();
    stubs = await makeStubs(agent);
    agent.script('print-args.sh', '#!/bin/bash\n(($# == 0)) || printf "%s\\0" "$@"\n');
    agent.script('nested/deep/print-args.sh', '#!/bin/bash\nprintf "%s\\0" "$@"\n');
    agent.script('count-args.sh', '#!/bin/bash\necho $# ${#1}\n');
    agent.script('print-args-in-perl.pl', '#!/usr/bin/perl\nprint join("\\0", @ARGV), "\\0";\n');
  });
  after(() => agent.close());

  const cases: [what: string, args: string[]][] = [
    ['none', []],
    ['an empty one', ['']],
    ['several empty ones', ['', 'x', '', '']],
    ['spaces, at the ends too', [' a  b ', '   ']],
    ['single and double quotes', [`it's`, `"quoted"`, `'"'"'`]],
    ['newlines, at the end too', ['a\nb\n', '\n', '\r\n']],
    ['what a shell would expand', ['$(id)', '`id`', '${HOME}', '$HOME', '*', '/*', '~', '{a,b}', '!!', '$((1+1))']],
    ['what separates commands', [';', '&', '|', '&&', '>', '<', '#', '>/tmp/x', '2>&1']],
    ['backslashes', ['\\', '\\\\', '\\n', 'a\\', '\\"', '\\u0041', '\\x41']],
    ['what printf would change', ['%s', '%n', '%', '%%', '%d%d']],
    ['every control character', [CONTROLS, `"${CONTROLS}"`]],
    ['UTF-8', ['äöü', '日本語', '🔥', 'e\u0301', '\u2028\u2029', '\ufeff', '\u0080\u009f']],
    ['options', ['--help', '--version', '--doctor', '-x', '--', '-']],
    ['the Arguments field of SecureChange, which is one argument', ['--queue "DMZ team" -v']],
    ['64 KiB', ['x'.repeat(65_536)]],
    ['JSON', [JSON.stringify({ a: [1, 'x"y\\z'], b: null })]],
  ];
  /** Escaping is work for bash, whatever the transport. */
  const large: [what: string, args: string[]][] = [
    ['64 KiB of quotes', ['"'.repeat(65_536)]],
    ['64 KiB of newlines and backslashes', ['\n\\'.repeat(32_768)]],
    ['131,071 bytes, the longest that Linux can pass', ['y'.repeat(131_071)]],
    ['1,024 of them', Array.from({ length: 1024 }, (_, index) => `argument ${index}`)],
  ];
  for (const transport of ['wss', 'ws'] as const) {
    for (const [what, args] of transport === 'ws' ? [...cases, ...large] : cases) {
      test(`${what}, over ${transport}`, async () => {
        assertCalled(await stubs[transport].call(['print-args', ...args]), { stdout: args.map((arg) => `${arg}\0`).join('') });
      });
    }
  }

  test('a script is named with its extension or without, and by its path below the folder', async () => {
    for (const name of ['print-args', 'print-args.sh', 'nested/deep/print-args', 'nested/deep/print-args.sh', 'print-args-in-perl']) {
      assertCalled(await stubs.wss.call([name, 'a b', 'c']), { stdout: 'a b\0c\0' });
    }
  });

  test('bytes that are not UTF-8 are refused, because the script could not be given them as they are', async () => {
    const called = await stubs.wss.shell(`bash "$stub" print-args $'\\xff\\xfe'`);
    assertRefused(called, 64);
  });

  test('1,025 of them are refused', async () => {
    const args = Array.from({ length: 1025 }, () => 'x');
    assertRefused(await stubs.wss.call(['count-args', ...args]), 64);
  });

  test('more than 1 MiB of them together is refused', async () => {
    const args = Array.from({ length: 9 }, () => 'x'.repeat(131_000));
    assertRefused(await stubs.wss.call(['count-args', ...args]), 64);
  });

  test('a name with a newline is no script, and the answer is one line', async () => {
    assertRefused(await stubs.wss.call(['print\nargs']), 127);
  });
});
