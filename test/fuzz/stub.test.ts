/**
 * Whatever an agent that is none, or the environment, gives to the stub: it ends with a code of its table and a line that says what to do, prints
 * nothing else, carries nothing out, and takes for a success only what is one by the codecs of the other side.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { after, suite } from 'node:test';
import { Receiver, Sender } from 'ws';
import { z } from 'zod';
import { decodeStubMessage } from '../../protocol/messages.ts';
import {
  decodeAgentMessage,
  encodeAccepted,
  encodeNotice,
  encodeOutput,
  encodeTerminal,
  TICK,
  type Stream,
} from '../../protocol/records.ts';
import { EXIT_UNKNOWN } from '../../protocol/outcomes.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { operatorText, streamBytes } from '../protocol/arbitraries.ts';
import { SHELL, damaged, holds, words } from './cases.ts';
import { StubBash, type Ended } from './stub-bash.ts';

const RUN = '01M82MTPZ59FK5J6MJDJ9YK2MG';
/** accept.frame and accept.bulk of a stub with dd, and of one without. */
const ACCEPTS = { dd: { frame: 1_048_576, bulk: 32_768 }, bash: { frame: 262_145, bulk: 0 } } as const;
type Tools = keyof typeof ACCEPTS;

/** What an agent says, as frames, some of them in fragments, with pings in between. */
interface Said {
  bytes: Buffer;
  tools: Tools;
}
const Said = z.object({ bytes: z.string().transform((text) => Buffer.from(text, 'latin1')), tools: z.enum(['dd', 'bash']) });

const PING = Buffer.from([0x89, 1, 0x70]);

function framed(messages: Buffer[], cuts: number[]): Buffer {
  const out: Buffer[] = [];
  const sender = new Sender({ write: (data: Buffer) => out.push(data) > 0, cork: () => undefined, uncork: () => undefined });
  messages.forEach((message, index) => {
    const cut = (cuts[index] ?? 0) % (message.length + 1);
    const options = { binary: true, compress: false, mask: false };
    if (cut > 0) {
      sender.send(message.subarray(0, cut), { ...options, fin: false });
      if (cut % 3 === 0) out.push(PING);
      sender.send(message.subarray(cut), { ...options, fin: true });
    } else sender.send(message, { ...options, fin: true });
  });
  return Buffer.concat(out.map((part) => Buffer.from(part)));
}

const tools = fc.constantFrom<Tools>('dd', 'bash');
const code = fc.oneof(fc.constant(0), fc.nat(255));

/** A conversation as an agent has it. */
const honest = fc
  .tuple(tools, streamBytes, streamBytes, code, operatorText, fc.array(fc.nat(3000), { maxLength: 9 }))
  .map(([by, stdout, stderr, exit, message, cuts]) => {
    const accept = ACCEPTS[by];
    const messages = [
      encodeAccepted(RUN),
      TICK,
      ...encodeOutput('stdout', stdout, accept),
      ...(message === '' ? [] : [encodeNotice(message)]),
      ...encodeOutput('stderr', stderr, accept),
      encodeTerminal({ outcome: 'exited', code: exit, stdout: stdout.length, stderr: stderr.length, message: '' }),
    ];
    return { bytes: framed(messages, cuts), tools: by, stdout, stderr, exit };
  });

const numbers = fc.oneof(fc.constantFrom('0', '1', '00', '007', '08', '255', '256', ...SHELL), fc.nat(20).map(String));
const terminalLike = fc
  .tuple(fc.constantFrom('exited', 'lost', 'refused', 'timed-out', 'exite', 'exited0'), numbers, numbers, numbers, words(...SHELL))
  .map(([outcome, ...rest]) => Buffer.from(`x${outcome} ${rest.join(' ')}`));
const anyMessage = fc.oneof(
  { weight: 3, arbitrary: fc.constant(Buffer.from(`a${RUN}`)) },
  { weight: 3, arbitrary: terminalLike },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom('a', 'n', 't', 'z', 'zo', 'ze', 'o', 'e', 'x', 'q', ''), words(...SHELL))
      .map((parts) => Buffer.from(parts.join(''))),
  },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom('zo', 'ze'), numbers).map((parts) => Buffer.from(parts.join(''))) },
);
const hostile: fc.Arbitrary<Said> = fc.record({
  tools,
  bytes: fc.oneof(
    damaged(honest.map(({ bytes }) => bytes)),
    fc
      .tuple(fc.array(anyMessage, { maxLength: 6 }), fc.array(fc.nat(200), { maxLength: 6 }))
      .map(([messages, cuts]) => framed(messages, cuts)),
    fc.array(anyMessage, { maxLength: 4 }).map((messages) => framed([Buffer.from(`a${RUN}`), ...messages], [])),
    fc.uint8Array({ maxLength: 60 }).map((some) => Buffer.from(some)),
  ),
});

/** The conversation as the other side's codecs read it; undefined where they refuse it. */
function read(
  bytes: Buffer,
  { frame }: { frame: number },
): { accepted: boolean; stdout: Buffer; stderr: Buffer; code: number } | undefined {
  const receiver = new Receiver({ isServer: false, maxPayload: frame, skipUTF8Validation: true });
  const messages: Buffer[] = [];
  const faults: unknown[] = [];
  receiver.on('error', (error) => faults.push(error));
  receiver.on('message', (data: Buffer, isBinary: boolean) => {
    if (!isBinary) faults.push('text');
    messages.push(data);
  });
  receiver.write(bytes);
  const out: Record<Stream, Buffer[]> = { stdout: [], stderr: [] };
  let accepted = false;
  for (const message of messages) {
    try {
      const decoded = decodeAgentMessage(message);
      if (decoded.type === 'accepted') accepted = true;
      if (decoded.type === 'output') out[decoded.stream].push(decoded.data);
      if (decoded.type !== 'terminal') continue;
      const [stdout, stderr] = [Buffer.concat(out.stdout), Buffer.concat(out.stderr)];
      const proven = decoded.outcome === 'exited' && decoded.stdout === stdout.length && decoded.stderr === stderr.length;
      return { accepted, stdout, stderr, code: proven ? decoded.code : EXIT_UNKNOWN };
    } catch {
      return undefined;
    }
  }
  return faults.length > 0 ? undefined : { accepted, stdout: Buffer.alloc(0), stderr: Buffer.alloc(0), code: EXIT_UNKNOWN };
}

/** No message of bash, and at least one line of ours where there is no success. */
function assertSpeaks({ code: exit, stderr }: Ended): void {
  const said = stderr.toString('latin1');
  // eslint-disable-next-line no-control-regex -- they would drive the operator's terminal
  assert.doesNotMatch(said, /: line \d+: |warning: |syntax error|[\x00-\x08\x0b-\x1f\x7f]/);
  if (exit !== 0) assert.match(said, /^mediator: ./m);
}

suite('to the stub', () => {
  const bash = new StubBash(temporaryFolder({ after }));
  after(() => bash.close());
  const converse = ({ bytes, tools: by }: Said): Promise<Ended> => bash.run('frames', bytes, ACCEPTS[by].frame, ACCEPTS[by].bulk);

  holds(
    'a whole conversation, in any fragments, is what it says',
    honest,
    async (said) => {
      const ended = await converse(said);
      assert.equal(ended.code, said.exit, ended.stderr.toString());
      assert.deepEqual(ended.stdout, said.stdout);
      assert.ok(ended.stderr.toString('latin1').endsWith(said.stderr.toString('latin1')));
    },
    { share: 0.2 },
  );

  holds(
    'any other frames are a success only where they prove one',
    hostile,
    async (said) => {
      const ended = await converse(said);
      const truth = read(said.bytes, ACCEPTS[said.tools]);
      if (ended.code === 0) {
        assert.deepEqual([truth?.accepted, truth?.code], [true, 0], ended.stderr.toString());
        assert.deepEqual(ended.stdout, truth?.stdout);
      } else if (truth?.code !== ended.code) assertSpeaks({ ...ended, stderr: withoutOutput(ended.stderr) });
    },
    { corpus: 'frames', recorded: Said },
  );

  const answer = words(
    'HTTP/1.1 101 Switching Protocols\r\n',
    'HTTP/1.1 200 OK\r\n',
    'HTTP/1.1 503 x\r\n',
    'HTTP/1.1 08',
    'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n',
    'Sec-WebSocket-Protocol: mediator.v1\r\n',
    'Content-Type: application/octet-stream\r\n',
    'Mediator-Proof: 0123456789abcdef0123456789abcdef\r\n',
    'Mediator-Proof: *\r\n',
    'Mediator-Failure: busy\r\n',
    'Mediator-Failure: ',
    'Date: Tue, 24 Nov 0899 19:00:00 GMT\r\n',
    'Date: ',
    ': ',
    '\r\n',
    '\n',
    ...SHELL,
  );
  const valid = [
    'HTTP/1.1 101 Switching Protocols',
    'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
    'Sec-WebSocket-Protocol: mediator.v1',
    'Mediator-Proof: 0123456789abcdef0123456789abcdef',
    'Date: Tue, 24 Nov 2026 19:00:00 GMT',
    '\r\n',
  ].join('\r\n');
  holds(
    'an answer over HTTP is believed only with the proof',
    fc.record({
      bytes: fc.oneof(
        answer.map((text) => Buffer.from(text)),
        damaged(fc.constant(valid)),
      ),
      transport: fc.constantFrom('tcp', 'curl'),
    }),
    async ({ bytes, transport }) => {
      const ended = await bash.run('answer', bytes, transport);
      assertSpeaks(ended);
      const stdout = ended.stdout.toString('latin1');
      if (stdout.endsWith('believed')) {
        assert.equal(ended.code, 0);
        const proof = /mediator-proof:[ \t]*0123456789abcdef0123456789abcdef[ \t]*\r?\n/i.exec(bytes.toString('latin1'));
        assert.ok(proof !== null);
      } else {
        assert.equal(ended.code, 0, 'with --fail-closed the answer is a verdict');
        assert.equal(z.object({ result: z.literal('failure'), message: z.string() }).safeParse(JSON.parse(stdout)).success, true);
      }
    },
    {
      corpus: 'answers',
      share: 0.4,
      recorded: z.object({ bytes: z.string().transform((text) => Buffer.from(text, 'latin1')), transport: z.enum(['tcp', 'curl']) }),
    },
  );

  const setting = fc.tuple(
    fc.constantFrom(
      ...[
        'MEDIATOR_URL',
        'MEDIATOR_ORDER',
        'MEDIATOR_KEY',
        'MEDIATOR_CA',
        'MEDIATOR_CERT',
        'MEDIATOR_EVENT',
        'MEDIATOR_HOST',
        'MEDIATOR_TIMEOUT',
      ],
      ...['MEDIATOR_TRANSPORT', 'MEDIATOR_PLAINTEXT', 'MEDIATOR_CONNECT_TIMEOUT', 'MEDIATOR_SILENCE', 'MEDIATOR_RESUME_WINDOW'],
      ...['https_proxy', 'no_proxy', 'SCW_EVENT', 'SCW_X', 'argument', 'BAKED_ENV'],
    ),
    fc.oneof(
      fc.constantFrom(
        'wss://10.1.2.3:8443',
        'ws://[::1]:08',
        'wss://a.b',
        'random',
        '1',
        '08',
        '10',
        'SCW_*',
        'http://u%41:p%zz@p:3128',
        '10.0.0.0/08',
        '10.0.0.0/99999999999999999999',
      ),
      words('wss://', 'ws://', 'http://', 'a', '1', '10.1.2.3', '/', ':', '@', '[', ']', '.', ',', '%', '%41', ' ', 'SCW_', ...SHELL),
    ),
  );
  const settings = fc.array(setting, { maxLength: 8 }).map((given) => ({
    MEDIATOR_URL: 'wss://10.1.2.3:8443',
    MEDIATOR_KEY: `k:${'0'.repeat(32)}`,
    ...Object.fromEntries(given.map(([name, value]) => [name, value.replaceAll('\0', '')])),
  }));
  holds(
    'settings are taken, or refused by name',
    settings,
    async (given: Record<string, string>) => {
      const ended = await bash.run(
        'settings',
        Buffer.from(
          Object.entries(given)
            .map(([name, value]) => `${name}=${value}\0`)
            .join(''),
        ),
      );
      assertSpeaks(ended);
      if (ended.code !== 0) {
        assert.ok([64, 78].includes(ended.code), String(ended.code));
        return;
      }
      const [scheme = '', host = '', port = '', path = '', start = ''] = ended.stdout.toString().split('\0');
      assert.match(`${scheme}://${host}:${port}${path}`, /^wss?:\/\/[A-Za-z0-9._:-]{1,253}:\d{1,5}\/[!-~]*$/);
      assert.ok(Number(port) >= 1 && Number(port) <= 65_535);
      const message = decodeStubMessage(Buffer.from(start));
      assert.ok(message.type === 'start');
      assert.deepEqual(message.args, given.argument === undefined ? [] : [given.argument]);
    },
    { corpus: 'settings', recorded: z.record(z.string(), z.string()), share: 0.4 },
  );

  holds(
    'a text is the same in JSON, and its hex, Base64 and digests are those of everybody',
    fc.tuple(
      fc.string({ unit: fc.oneof(fc.constantFrom(...SHELL), fc.string({ unit: 'binary', maxLength: 1 })), maxLength: 60 }),
      fc.boolean(),
    ),
    async ([any, plain]) => {
      // eslint-disable-next-line no-control-regex -- hex is for ASCII alone
      const text = plain ? any.replace(/[^\x01-\x7f]/g, '') : any.replaceAll('\0', '').toWellFormed();
      const ended = await bash.run('bytes', Buffer.from(text));
      assert.equal(ended.stderr.toString(), '');
      const [json = '', hex, base64, sha256, sha1] = ended.stdout.toString().split('\0');
      assert.equal(JSON.parse(json), text);
      if (!plain) return;
      const bytes = Buffer.from(text);
      assert.deepEqual([hex, base64], [bytes.toString('hex'), bytes.toString('base64')]);
      const digests = ['sha256', 'sha1'].map((name) => createHash(name).update(bytes).digest('hex'));
      assert.deepEqual([sha256, sha1], digests);
    },
    { share: 0.2 },
  );
});

/** Only what is ours: what the script said on stderr may be anything, and end in the middle of a line. */
function withoutOutput(stderr: Buffer): Buffer {
  const lines = stderr.toString('latin1').split('\n');
  const ours = lines.flatMap((line) =>
    /: line \d+: /.test(line) ? [line] : line.includes('mediator: ') ? [line.slice(line.indexOf('mediator: '))] : [],
  );
  return Buffer.from(ours.join('\n'), 'latin1');
}
