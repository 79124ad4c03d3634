import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import { canonicalString } from '../../protocol/auth.ts';
import { HEADERS, INTERVALS, LIMITS, RUN_PATH, SUBPROTOCOL } from '../../protocol/constants.ts';
import { FAILURE_CODES, FAILURES, statusOf } from '../../protocol/failures.ts';
import { decodeStubMessage, HOSTS, Resume, Start, StubMessage } from '../../protocol/messages.ts';
import { EXIT_CANCELLED, EXIT_TIMED_OUT, EXIT_UNKNOWN, OUTCOMES } from '../../protocol/outcomes.ts';
import { decodeAgentMessage } from '../../protocol/records.ts';
import { authVectors } from './vectors.ts';

const readme = readFileSync(new URL('../../protocol/README.md', import.meta.url), 'utf8');

suite('protocol/README.md and the code beside it say the same', () => {
  test('about failures', () => {
    const rows = FAILURE_CODES.map((code) => {
      const { exit, meaning } = FAILURES[code];
      return [`\`${code}\``, String(exit), 'status' in FAILURES[code] ? String(statusOf(code)) : '', meaning];
    });
    assert.deepEqual(tableUnder('Failures'), rows);
  });

  test('about outcomes', () => {
    const rows = Object.entries(OUTCOMES).map(([outcome, { meaning, code }]) => [`\`${outcome}\``, meaning, code]);
    assert.deepEqual(tableUnder('Outcomes'), rows);
    assert.equal(OUTCOMES['timed-out'].code, String(EXIT_TIMED_OUT));
    assert.equal(OUTCOMES.lost.code, String(EXIT_UNKNOWN));
    assert.equal(OUTCOMES.cancelled.code, String(EXIT_CANCELLED));
  });

  test('about the messages of the stub', () => {
    const named = tableUnder('2. Messages of the stub').map(([name = '']) => name);
    const types = StubMessage.options
      .map(({ shape }) => `\`${shape.type.value}\``)
      .filter((type) => !['`read`', '`refused`'].includes(type));
    assert.deepEqual(named.filter((name) => name !== '*binary*').sort(), types.sort());
  });

  test('about the fields of start and resume', () => {
    const fields = [...section('2. Messages of the stub').matchAll(/^\| (`.*?`) \|/gm)].flatMap(([, cell = '']) => codes(cell));
    for (const field of Object.keys(Start.shape).filter((name) => !['type', 'accept', 'caller', 'task'].includes(name))) {
      assert.ok(fields.includes(field), `start.${field} has no row`);
    }
    assert.ok(fields.includes('accept.frame') && fields.includes('accept.bulk'));
    const resume = tableUnder('2. Messages of the stub').find(([name]) => name === '`resume`')?.[1] ?? '';
    assert.deepEqual(
      codes(resume),
      Object.keys(Resume.shape).filter((name) => !['type', 'caller'].includes(name)),
    );
  });

  test('about the example of a start', () => {
    const example = /```json\n([^]*?)```/.exec(section('2. Messages of the stub'))?.[1] ?? '';
    assert.equal(decodeStubMessage(Buffer.from(example)).type, 'start');
  });

  test('about the types of the agent’s messages', () => {
    const types = tableUnder('3. Messages of the agent').flatMap(([cell = '']) => codes(cell));
    const samples = ['a01JD0Z3NDEKTSV4RRFFQ69G5FA', 'o1', 'e1', 'zo1', 'n1', 't', 'xexited 0 0 0'];
    assert.deepEqual(
      samples.map((sample) => sample.slice(0, 1)),
      types,
    );
    for (const sample of samples) assert.doesNotThrow(() => decodeAgentMessage(Buffer.from(sample)));
  });

  test('about the examples of terminal records', () => {
    const examples = [...section('3. Messages of the agent').matchAll(/^x[a-z-]+ \d.*$/gm)].map(([line]) => line);
    assert.equal(examples.length, 3);
    for (const example of examples) assert.equal(decodeAgentMessage(Buffer.from(example)).type, 'terminal');
  });

  test('about the worked example of the proofs', () => {
    const [vector] = authVectors;
    assert.ok(vector);
    const rows = section('The proofs').match(/`[^`\n]+` \|$/gm) ?? [];
    const canonical = canonicalString(vector).replaceAll('\n', '\\n');
    assert.deepEqual(
      rows.map((row) => row.slice(1, -3)),
      [vector.secret, canonical, vector.stubProof, vector.agentProof],
    );
  });

  test('about names', () => {
    for (const name of [SUBPROTOCOL, RUN_PATH, ...HOSTS]) assert.ok(readme.includes(`\`${name}\``), name);
    for (const name of Object.values(HEADERS)) assert.ok(readme.toLowerCase().includes(name), name);
  });

  /** Each sentence with its number taken from the code. */
  const sentences = [
    `the time is within ${INTERVALS.clockSkewSeconds} seconds of its own clock`,
    `No message is longer than ${LIMITS.message / 2 ** 20} MiB (${decimal(LIMITS.message)} bytes).`,
    `string, 1 to ${LIMITS.scriptName} bytes`,
    `up to ${decimal(LIMITS.arguments)} of them; none holds a NUL or is longer than ${decimal(LIMITS.argument)} bytes`,
    `up to ${LIMITS.variables} variables`,
    `whole seconds, 1 to ${decimal(LIMITS.timeoutSeconds)}; optional`,
    `${decimal(LIMITS.frameMin)} to ${decimal(LIMITS.message)} | the longest message that the stub wants to read`,
    `one line, up to ${decimal(LIMITS.text)} bytes | a notice`,
    `the request headers are longer than ${LIMITS.headers / 1024} KiB`,
    `sent whenever the agent has sent nothing for ${seconds(INTERVALS.tick)}, from the 101 on. Silence of ${seconds(INTERVALS.silence)} is a lost`,
    `if the stub does not within ${seconds(INTERVALS.settled)}.`,
    `${seconds(INTERVALS.opening)} without either: closed`,
    `${seconds(INTERVALS.uploading)} without a message: closed`,
    `\`ack\`, close, or ${seconds(INTERVALS.settled)} |`,
  ];
  for (const sentence of sentences) test(`about “${sentence}”`, () => assert.ok(flat(readme).includes(sentence)));
});

/** The text from a heading to the next heading of any level. */
function section(heading: string): string {
  const start = readme.search(new RegExp(`^#+ ${heading}$`, 'm'));
  assert.notEqual(start, -1, `no heading ${heading}`);
  const [, text = ''] = readme.slice(start).split(/^(?:#+ .*)$/m);
  return text;
}

/** The cells of the first table under a heading, without its head. */
function tableUnder(heading: string): string[][] {
  const [table = ''] = /(^\|.*\n)+/m.exec(section(heading)) ?? [];
  const rows = table.trim().split('\n').slice(2);
  return rows.map((row) =>
    row
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim()),
  );
}

function codes(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code);
}

function flat(text: string): string {
  return text.replace(/\s+/g, ' ');
}

function decimal(value: number): string {
  return value.toLocaleString('en-US');
}

function seconds(milliseconds: number): string {
  return `${milliseconds / 1000} s`;
}
