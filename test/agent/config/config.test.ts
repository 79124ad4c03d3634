import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, suite, test } from 'node:test';
import { loadConfig, type Config } from '../../../agent/config/config.ts';
import { formatProblem, type Problem } from '../../../agent/config/yaml-file.ts';
import { temporaryFolder } from '../../helpers/folder.ts';

const SMALLEST = 'names: [localhost]\nlisten: { plaintext: ["127.0.0.1:0"] }\n';

suite('agent.yaml', () => {
  const folder = temporaryFolder({ after });
  const file = path.join(folder, 'agent.yaml');

  function config(text: string): Config {
    writeFileSync(file, text);
    const parsed = loadConfig(file);
    assert.ok(parsed.ok, parsed.ok ? '' : parsed.problems.map(formatProblem).join('\n'));
    return parsed.value;
  }

  function problems(text: string): Problem[] {
    writeFileSync(file, text);
    const parsed = loadConfig(file);
    assert.ok(!parsed.ok);
    return parsed.problems;
  }

  test('needs names and an address, and has defaults for everything else', () => {
    const { limits, retention, defaults, drain, environment, settle, log } = config(SMALLEST);
    assert.deepEqual(limits, {
      concurrency: 32,
      queue: 512,
      connections: 2048,
      handshakes: 512,
      stdin: 64 * 1024 ** 2,
      'disk-free': 256 * 1024 ** 2,
    });
    const day = 86_400_000;
    const refused = { 'refused-age': 30 * day, 'refused-calls': 10_000 };
    const kept = { 'spool-age': 30 * day, 'spool-size': 10 * 1024 ** 3, 'journal-age': 400 * day, 'journal-runs': 1_000_000, ...refused };
    assert.deepEqual(retention, kept);
    assert.deepEqual(defaults, { timeout: 120_000, grace: 5000, 'output-limit': 1024 ** 3 });
    assert.deepEqual({ drain, environment, settle, log }, { drain: 30_000, environment: ['SCW_*'], settle: 500, log: 'info' });
  });
  test('names files relative to itself', () => {
    const { keys, scripts, state, socket, tls } = config(`${SMALLEST}tls: { certificate: a/c.pem, key: /k.pem }\nscripts: ../s\n`);
    assert.deepEqual(
      { keys, scripts, state, socket, tls },
      {
        keys: path.join(folder, 'keys.yaml'),
        scripts: path.join(path.dirname(folder), 's'),
        state: path.join(folder, 'state'),
        socket: path.join(folder, 'state/runner.sock'),
        tls: { certificate: path.join(folder, 'a/c.pem'), key: '/k.pem' },
      },
    );
  });
  test('takes addresses of IPv4, IPv6 and by name, and refuses others', () => {
    const { listen } = config('names: [a]\nlisten: { plaintext: ["0.0.0.0:1", "[::1]:65535", "localhost:0"] }\n');
    assert.deepEqual(listen.plaintext, [
      { host: '0.0.0.0', port: 1 },
      { host: '::1', port: 65_535 },
      { host: 'localhost', port: 0 },
    ]);
    for (const address of ['8443', ':8443', 'a:65536', 'a:b', '::1:80', 'a b:1', 'http://a:1', '[::1]']) {
      assert.deepEqual(
        problems(`names: [a]\nlisten: { plaintext: ["${address}"] }\n`).map(({ line }) => line),
        [2],
        address,
      );
    }
  });
  test('reads names without regard to case, as stubs do', () => {
    assert.deepEqual(config('names: [Agent.EXAMPLE]\nlisten: { plaintext: ["a:1"] }\n').names, ['agent.example']);
  });
  test('refuses names that no stub could dial, and says which', () => {
    const [problem] = problems('names: [localhost, "a b"]\nlisten: { plaintext: ["a:1"] }\n');
    assert.equal(problem?.message, 'is not a host name or an address: "a b"; write it without port and brackets');
    for (const name of ['', 'a b', 'a,b', 'https://a', 'a/b', '[::1]', '\u00e9']) {
      assert.deepEqual(
        problems(`names: ["${name}"]\nlisten: { plaintext: ["a:1"] }\n`).map(({ field }) => field),
        ['names.0'],
      );
    }
    assert.deepEqual(config('names: ["::1", a_b-c.d]\nlisten: { plaintext: ["a:1"] }\n').names, ['::1', 'a_b-c.d']);
  });
  test('has all its faults reported at once, each with its line and field', () => {
    const text = [
      'names: []',
      'listen:',
      '  plaintext: [nonsense]',
      'limits:',
      '  concurrency: 0',
      '  stdin: 5 bananas',
      'colour: blue',
      'settle: 5',
      'log: loud',
      'environment: ["A-B"]',
    ].join('\n');
    assert.deepEqual(
      problems(text)
        .map(({ line, field }) => `${line} ${field}`)
        .sort(),
      ['1 names', '10 environment.0', '3 listen.plaintext.0', '5 limits.concurrency', '6 limits.stdin', '7 colour', '8 settle', '9 log'],
    );
  });
  test('has its faults told in words, each with what may stand there', () => {
    const said = problems(
      'names: localhost\nlisten: { plaintxt: ["a:1"] }\nlog: loud\nlimits: { queue: many, connections: 0 }\ndrain: 5\n',
    ).map(formatProblem);
    for (const pattern of [
      /agent\.yaml:1: names: is "localhost", and must be a list, for instance \[a, b\]$/m,
      /agent\.yaml:2: listen\.plaintxt: is not a known field; known here: tls, plaintext$/m,
      /agent\.yaml:3: log: is "loud", and must be one of debug, info, warn, error$/m,
      /agent\.yaml:4: limits\.queue: is "many", and must be a number$/m,
      /agent\.yaml:4: limits\.connections: must be 1 or more$/m,
      /agent\.yaml:5: drain: must be a duration with a unit/m,
    ])
      assert.match(said.join('\n'), pattern);
    assert.match(problems('listen: { plaintext: ["a:1"] }').map(formatProblem).join(), /names: is missing; it must be a list/);
    assert.match(
      problems(`${SMALLEST}smtp: { office: { hots: x } }`).map(formatProblem).join(),
      /smtp\.office\.hots: .*known here: host, port/,
    );
  });
  test('that others may write is refused, with the command that mends it', () => {
    writeFileSync(file, SMALLEST);
    chmodSync(file, 0o666);
    const parsed = loadConfig(file);
    chmodSync(file, 0o600);
    assert.match(
      parsed.ok ? '' : parsed.problems.map(formatProblem).join(),
      /agent\.yaml: has mode 0666 and others may change which programs run; run: chmod go-w /,
    );
  });
  test('that is missing says how to name or to make one', () => {
    const parsed = loadConfig(path.join(folder, 'none.yaml'));
    assert.match(
      parsed.ok ? '' : parsed.problems.map(formatProblem).join(),
      /none\.yaml: is not there, or no file; name yours with --config FILE, or make one/,
    );
  });
  test('names what is missing', () => {
    assert.deepEqual(
      problems('')
        .map(({ field }) => field)
        .sort(),
      ['listen', 'names'],
    );
    assert.deepEqual(
      problems('names: [a]\nlisten: {}\n').map(({ line, field }) => [line, field]),
      [[2, 'listen']],
    );
    assert.deepEqual(
      problems('names: [a]\nlisten: { tls: ["a:1"] }\n').map(({ field }) => field),
      ['tls'],
    );
  });
  test('that is no YAML, or no map, is refused with the line', () => {
    assert.deepEqual(
      problems('names: [a\nlisten: b\n')
        .map(({ line }) => line > 0)
        .slice(0, 1),
      [true],
    );
    for (const text of ['- a\n', 'a\n', '3\n']) assert.equal(problems(text).length, 1);
  });
  test('with a field that stands twice is refused with its name and both lines, and with every other fault', () => {
    const said = problems('names: [a]\nlisten:\n  tls: ["a:1"]\n  tls: ["a:2"]\nnames: [b]\ncolour: red\n');
    assert.deepEqual(
      said.map(({ line, field, message }) => [line, field, message.slice(0, 40)]),
      [
        [4, 'listen.tls', 'stands twice, here and in line 3; remove'],
        [5, 'names', 'stands twice, here and in line 1; remove'],
        [6, 'colour', 'is not a known field; known here: names,'],
      ],
    );
  });
  test('that is missing, a folder, or far too large is refused', () => {
    assert.ok(!loadConfig(path.join(folder, 'none.yaml')).ok);
    assert.ok(!loadConfig(folder).ok);
    problems(`# ${'x'.repeat(1024 * 1024)}\n`);
  });
  test('with a bomb of aliases is refused', () => {
    const bomb = [
      'a: &a [x,x,x,x,x,x,x,x,x]',
      ...'bcdefgh'.split('').map((name, index) => `${name}: &${name} [${Array(9).fill(`*${'abcdefg'[index]}`).join()}]`),
    ];
    problems(bomb.join('\n'));
  });
  test('with a socket path that Linux cannot bind is refused', () => {
    assert.deepEqual(
      problems(`${SMALLEST}socket: /${'x'.repeat(107)}\n`).map(({ field }) => field),
      ['socket'],
    );
    assert.equal(config(`${SMALLEST}socket: /${'x'.repeat(106)}\n`).socket.length, 107);
  });
});

suite('a problem', () => {
  test('is written as compilers write it', () => {
    assert.equal(formatProblem({ file: 'a.yaml', line: 3, field: 'x.y', message: 'is bad' }), 'a.yaml:3: x.y: is bad');
    assert.equal(formatProblem({ file: 'a.yaml', line: 0, field: '', message: 'is bad' }), 'a.yaml: is bad');
  });
});
