/** Whatever bytes come from outside: each reader returns a value or says in its own way what is wrong; nothing else is ever thrown. FUZZ_RUNS is the number of cases. */
import fc from 'fast-check';
import { suite, test } from 'node:test';
import { Receiver } from 'ws';
import { readXmlAnswer } from '../../agent/hosts/answers.ts';
import { decodePayload } from '../../agent/hosts/payload.ts';
import { TicketReader } from '../../agent/hosts/ticket.ts';
import { KeysYaml } from '../../agent/config/keys.ts';
import { parseYaml } from '../../agent/config/yaml-file.ts';
import { Manifest } from '../../agent/catalog/manifest.ts';
import { checkName } from '../../agent/catalog/names.ts';
import { Task } from '../../agent/tasks/task.ts';
import { parseAuthorization } from '../../protocol/auth.ts';
import { Failure } from '../../protocol/failures.ts';
import { decodeStubMessage, encodeStubMessage } from '../../protocol/messages.ts';
import { stubMessage } from '../protocol/arbitraries.ts';

const numRuns = Number(process.env.FUZZ_RUNS ?? 1000);

const bytes = fc.uint8Array({ maxLength: 400 }).map((array) => Buffer.from(array));
const words = (...known: string[]): fc.Arbitrary<string> =>
  fc
    .array(fc.oneof(fc.constantFrom(...known), fc.string({ unit: 'binary', maxLength: 4 })), { maxLength: 40 })
    .map((parts) => parts.join(''));
/** Something valid with a few bytes changed, removed or put in. */
const damaged = (valid: fc.Arbitrary<string>): fc.Arbitrary<Buffer> =>
  fc.tuple(valid, fc.array(fc.tuple(fc.nat(4000), fc.nat(2), bytes), { maxLength: 3 })).map(([text, changes]) =>
    changes.reduce((all, [at, removed, put]) => {
      const place = at % (all.length + 1);
      return Buffer.concat([all.subarray(0, place), put.subarray(0, 4), all.subarray(place + removed)]);
    }, Buffer.from(text)),
  );
const xml = words(
  '<ticket_info>',
  '</ticket_info>',
  '<id>',
  '</id>',
  '<a b="',
  '">',
  '&amp;',
  '&#0;',
  '<![CDATA[',
  ']]>',
  '<!--',
  '-->',
  '<?xml ?>',
  '<!DOCTYPE a [',
  '<response>',
  '7',
);
const yaml = words(
  'timeout',
  ': ',
  '120s',
  '\n',
  '  ',
  '- ',
  '{',
  '}',
  '&a ',
  '*a',
  '!!js ',
  'keys',
  'id',
  'secret',
  'trigger',
  'action',
  'run-script',
  '"',
  "'",
  '---\n',
  '<<',
  '|',
);

/** Only a Failure, which says what to do, may be thrown. */
function onlyFailures(read: () => unknown): void {
  try {
    read();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
  }
}

function holds<T>(name: string, what: fc.Arbitrary<T>, read: (value: T) => unknown): void {
  test(name, () => {
    fc.assert(
      fc.property(what, (value) => {
        read(value);
      }),
      { numRuns },
    );
  });
}

suite('any bytes', () => {
  holds('as a message of the stub', fc.oneof(bytes, damaged(stubMessage.map(encodeStubMessage))), (data) => {
    onlyFailures(() => decodeStubMessage(data));
  });
  holds(
    'as an Authorization header',
    words('Mediator ', 'key="', '", time="', '", nonce="', '", proof="', '"', '1780000000', '0'.repeat(32)),
    (text) => {
      parseAuthorization(text, 'agent.example');
    },
  );
  holds(
    'as the ticket on stdin',
    fc.oneof(
      bytes,
      xml.map((text) => Buffer.from(text)),
    ),
    (ticket) => {
      const reader = new TicketReader();
      if (reader.push(ticket)) reader.end();
    },
  );
  holds('as an answer in XML', xml, (text) => {
    for (const type of ['condition', 'tasks', 'risk'] as const) readXmlAnswer(type, text);
  });
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
  test('as frames in the body of a POST, in any pieces', () => {
    fc.assert(
      fc.property(fc.array(bytes, { maxLength: 6 }), (pieces) => {
        const receiver = new Receiver({ isServer: true, maxPayload: 1024, skipUTF8Validation: true });
        const errors: unknown[] = [];
        receiver.on('error', (error) => errors.push(error));
        for (const piece of pieces) if (errors.length === 0) receiver.write(piece);
      }),
      { numRuns },
    );
  });
});
