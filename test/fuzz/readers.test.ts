/** Whatever bytes come from outside to our side: each reader returns a value or says in its own way what is wrong; nothing else is ever thrown. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { mkdirSync, writeFileSync } from 'node:fs';
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import path from 'node:path';
import { after, suite } from 'node:test';
import { Receiver } from 'ws';
import { z } from 'zod';
import { Manifest } from '../../agent/catalog/manifest.ts';
import { checkName } from '../../agent/catalog/names.ts';
import { Approvals } from '../../agent/catalog/approvals.ts';
import { loadConfig } from '../../agent/config/config.ts';
import { matchesGlob } from '../../agent/config/glob.ts';
import { KeysYaml } from '../../agent/config/keys.ts';
import { Network, isWithin } from '../../agent/config/networks.ts';
import { KIND_NAMES } from '../../agent/config/kinds.ts';
import { parseYaml } from '../../agent/config/yaml-file.ts';
import { NonceFile } from '../../agent/front/nonce-file.ts';
import { readXmlAnswer } from '../../agent/hosts/answers.ts';
import { accessRequestsIn } from '../../agent/hosts/draft.ts';
import { decodePayload } from '../../agent/hosts/payload.ts';
import { checkReply } from '../../agent/hosts/reply.ts';
import { standIn } from '../../agent/hosts/stand-in.ts';
import { TicketReader, type Ticket } from '../../agent/hosts/ticket.ts';
import { readEnding } from '../../agent/keeper/ending-file.ts';
import { readLines } from '../../agent/keeper/lines.ts';
import { readMasks } from '../../agent/keeper/masks-file.ts';
import { KeeperMessage, RunnerMessage } from '../../agent/keeper/messages.ts';
import { Task } from '../../agent/tasks/task.ts';
import { BodyConnection } from '../../agent/wire/body-connection.ts';
import type { Connection } from '../../agent/wire/connection.ts';
import { HEADER, KIND, type Kind } from '../../agent/wire/link-frames.ts';
import { Link } from '../../agent/wire/link.ts';
import { parseAuthorization } from '../../protocol/auth.ts';
import { Failure } from '../../protocol/failures.ts';
import { decodeStubMessage, encodeStubMessage } from '../../protocol/messages.ts';
import { decodeAgentMessage, encodeTerminal } from '../../protocol/records.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { stubMessage, terminal } from '../protocol/arbitraries.ts';
import { bytes, damaged, holds, inPieces, words } from './cases.ts';

const TICKET =
  '<?xml version="1.0"?><ticket_info><id>4711</id><subject>a &amp; b</subject><requester><login>joe</login></requester><updateDate>1780000000000</updateDate><current_stage><id>7</id></current_stage></ticket_info>';
const DRAFT =
  '<ticket><access_requests><access_request><uuid>0a1b</uuid></access_request><access_request><uuid>2c3d</uuid></access_request></access_requests></ticket>';
const tags = ['<ticket_info>', '</ticket_info>', '<id>', '</id>', '<a b="', '">', '/>', '&amp;', '&#0;', '<![CDATA[', ']]>', '<!--', '-->'];
const xml = words(...tags, '<?xml ?>', '<!DOCTYPE a [', '<response>', '</response>', '<access_request>', '<uuid>', '</uuid>', '7');
const anyXml = fc.oneof(
  bytes,
  xml.map((text) => Buffer.from(text)),
  damaged(fc.constantFrom(TICKET, DRAFT)),
);
const yaml = words(
  ...['timeout', ': ', '120s', '\n', '  ', '- ', '{', '}', '&a ', '*a', '!!js ', 'keys', 'id', 'secret', 'trigger', 'action'],
  ...['run-script', '"', "'", '---\n', '<<', '|', 'listen', 'names', 'tls', 'scripts', '__proto__', '1e999', '.nan', '!!binary '],
);
const json = words(
  '{',
  '}',
  '[',
  ']',
  '"',
  ':',
  ',',
  '\\',
  '\n',
  'null',
  '1e999',
  '"result"',
  '"message"',
  '"success"',
  '"__proto__"',
  '{"result":"success"}',
);
const recordedText = z.string().transform((text) => Buffer.from(text, 'latin1'));
const cuts = fc.array(fc.nat(1000), { maxLength: 6 });

/** Only a Failure, which says what to do, may be thrown. */
function onlyFailures(read: () => unknown): void {
  try {
    read();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
  }
}

suite('any bytes', () => {
  const folder = temporaryFolder({ after });

  holds(
    'as a message of the stub',
    fc.oneof(
      bytes,
      damaged(stubMessage.map(encodeStubMessage)),
      json.map((text) => Buffer.from(text)),
    ),
    (data) => {
      onlyFailures(() => decodeStubMessage(data));
    },
  );
  holds('as a message of an agent, to a sidecar', fc.oneof(bytes, damaged(terminal.map(encodeTerminal))), (data) => {
    onlyFailures(() => decodeAgentMessage(data));
  });
  holds(
    'as an Authorization header',
    words('Mediator ', 'key="', '", time="', '", nonce="', '", proof="', '"', '1780000000', '0'.repeat(32)),
    (text) => {
      parseAuthorization(text, 'agent.example');
    },
  );
  holds(
    'as the ticket on stdin, which says the same in any pieces',
    fc.tuple(anyXml, cuts),
    ([ticket, places]) => {
      const read = (pieces: Buffer[]): Ticket | undefined => {
        const reader = new TicketReader();
        return pieces.every((piece) => reader.push(piece)) ? reader.end() : undefined;
      };
      assert.deepEqual(read(inPieces(ticket, places)), read([ticket]));
    },
    { corpus: 'tickets', recorded: z.tuple([recordedText, z.array(z.number())]) },
  );
  holds('as a draft whose risk is asked for: what stands in for the answer is one', anyXml, (draft) => {
    accessRequestsIn(draft);
    const answer = standIn('risk', true, 'x', () => draft);
    if (Buffer.isBuffer(answer?.stdout)) assert.equal(checkReply('risk', answer.stdout, false).ok, true);
  });
  holds('as an answer in XML', xml, (text) => {
    for (const type of ['condition', 'tasks', 'risk'] as const) readXmlAnswer(type, text);
  });
  holds(
    'as what a script of any kind printed',
    fc.tuple(
      fc.oneof(
        bytes,
        xml.map((text) => Buffer.from(text)),
        json.map((text) => Buffer.from(text)),
      ),
      fc.constantFrom(...KIND_NAMES),
      fc.boolean(),
    ),
    ([stdout, kind, lastJson]) => {
      checkReply(kind, stdout, lastJson);
    },
  );
  holds(
    'as the Base64 argument',
    fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.base64String(),
      bytes.map((data) => data.toString('base64')),
    ),
    decodePayload,
  );
  holds('as the name of a script', words('/', '..', '.', 'a', '\0', '\\', ' '), (name) => {
    onlyFailures(() => {
      checkName(name);
    });
  });
  for (const [name, schema] of Object.entries({ manifest: Manifest, task: Task, 'file of keys': KeysYaml })) {
    holds(`as a ${name}`, yaml, (text) => parseYaml('file.yaml', text, schema));
  }
  holds(
    'as agent.yaml',
    yaml,
    (text) => {
      const file = path.join(folder, 'agent.yaml');
      writeFileSync(file, text, { mode: 0o600 });
      loadConfig(file);
    },
    { share: 0.1 },
  );
  holds(
    'as a network or a pattern of a key',
    fc.tuple(words('10.0.0.0', '/', '8', '::', ':', '33', '*', '?', '['), fc.ipV4()),
    ([text, address]) => {
      if (Network.safeParse(text).success) isWithin([text], address);
      matchesGlob(text, address);
    },
  );
  holds(
    'as approvals.json',
    json,
    (text) => {
      const file = path.join(folder, 'approvals.json');
      writeFileSync(file, text, { mode: 0o644 });
      onlyFailures(() => new Approvals({ approvals: file, 'require-approval': true }).of('x'));
    },
    { share: 0.1 },
  );
  holds(
    'as the nonces of the front before',
    words('1780000000 ', '0'.repeat(32), '\n', ' ', '-1', '1e9'),
    (text) => {
      mkdirSync(path.join(folder, 'nonces'), { recursive: true });
      writeFileSync(path.join(folder, 'nonces', 'nonces-2966666'), text);
      const used = new NonceFile(path.join(folder, 'nonces'), (error) => assert.ifError(error)).load(1_780_000_000);
      for (const { time, nonce } of used) assert.match(`${time} ${nonce}`, /^\d+ [0-9a-f]{32}$/);
    },
    { share: 0.1 },
  );
  holds(
    'as what a keeper that died has left of a run',
    fc.oneof(
      bytes,
      json.map((text) => Buffer.from(text)),
    ),
    (data) => {
      writeFileSync(path.join(folder, 'ending.json'), data);
      writeFileSync(path.join(folder, 'masks'), data);
      readEnding(folder, 'run');
      readMasks(folder);
    },
    { share: 0.1 },
  );
  holds(
    'as lines between runner and keeper',
    fc.tuple(
      fc.oneof(
        bytes,
        json.map((text) => Buffer.from(text)),
        fc.constant(Buffer.from('{"type":"hello"}\n')),
      ),
      cuts,
    ),
    ([data, places]) => {
      for (const schema of [RunnerMessage, KeeperMessage]) {
        const socket = new Socket();
        socket.on('error', () => undefined);
        readLines<unknown>(socket, schema, (message) => assert.equal(schema.safeParse(message).success, true));
        for (const piece of inPieces(data, places)) socket.emit('data', piece);
        socket.destroy();
      }
    },
  );
  holds('as frames in the body of a POST, in any pieces', fc.array(bytes, { maxLength: 6 }), (pieces) => {
    const receiver = new Receiver({ isServer: true, maxPayload: 1024, skipUTF8Validation: true });
    const errors: unknown[] = [];
    receiver.on('error', (error) => errors.push(error));
    for (const piece of pieces) if (errors.length === 0) receiver.write(piece);
    const request = new IncomingMessage(new Socket());
    const connection = new BodyConnection(request, new ServerResponse(request));
    connection.onMessage(() => undefined);
    for (const piece of pieces) request.emit('data', piece);
    connection.destroy();
  });
  holds(
    'as frames of a link, in any pieces: messages come as they were sent, and anything else ends the link alone',
    fc.tuple(fc.array(fc.tuple(fc.boolean(), bytes), { maxLength: 4 }), fc.option(bytes, { nil: undefined }), cuts),
    ([messages, stranger, places]) => {
      const socket = new Socket();
      socket.write = () => true;
      const got: [boolean, Buffer][] = [];
      const link = new Link(socket, (connection: Connection) => {
        connection.onMessage((data, binary) => got.push([binary, data]));
      });
      const frames = [linkFrame(KIND.open), ...messages.map(([binary, data]) => linkFrame(binary ? KIND.binary : KIND.text, data))];
      for (const piece of inPieces(Buffer.concat([...frames, stranger ?? Buffer.alloc(0)]), places)) link.read(piece);
      assert.deepEqual(got.slice(0, messages.length), messages);
      if (stranger === undefined) assert.equal(got.length, messages.length);
      link.destroy();
    },
  );
});

/** A frame of the call 1. */
function linkFrame(kind: Kind, payload: Buffer = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(HEADER);
  header.writeUInt32BE(1, 0);
  header[4] = kind;
  header.writeUInt32BE(payload.length, 5);
  return Buffer.concat([header, payload]);
}
