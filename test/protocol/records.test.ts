import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { LIMITS } from '../../protocol/constants.ts';
import { Failure } from '../../protocol/failures.ts';
import type { Accept } from '../../protocol/messages.ts';
import {
  type AgentMessage,
  decodeAgentMessage,
  encodeAccepted,
  encodeNotice,
  encodeOutput,
  encodeTerminal,
  type Stream,
  TICK,
} from '../../protocol/records.ts';
import { accept, operatorText, streamBytes, terminal } from './arbitraries.ts';
import { outputVectors, recordVectors } from './vectors.ts';

const nothing: Record<Stream, string> = { stdout: '', stderr: '' };
const stream = fc.constantFrom<Stream>('stdout', 'stderr');

suite('golden vectors of output', () => {
  for (const vector of outputVectors) {
    test(`${vector.name}: encoded as written down`, () => {
      const messages = [...encodeOutput(vector.stream, vector.hex, vector.accept)];
      assert.deepEqual(
        messages.map((message) => message.toString('hex')),
        vector.messages.map((message) => message.toString('hex')),
      );
    });
    test(`${vector.name}: read back`, () => {
      assert.deepEqual(read(vector.messages), { ...nothing, [vector.stream]: vector.hex.toString('hex') });
    });
  }
});

suite('golden vectors of the agent’s other messages', () => {
  for (const { name, hex, message } of recordVectors.valid) {
    test(`${name} is read as it was written, and written as it was read`, () => {
      const decoded = decodeAgentMessage(hex);
      assert.deepEqual(decoded, message);
      assert.equal(encode(decoded).toString('hex'), hex.toString('hex'));
    });
  }

  for (const { name, hex } of recordVectors.malformed) {
    test(`${name} is malformed`, () => {
      assert.throws(() => decodeAgentMessage(hex), { name: 'Failure', code: 'invalid-message' });
    });
  }
});

suite('output', () => {
  test('the messages of a stream, put together, are its bytes', () => {
    fc.assert(
      fc.property(stream, streamBytes, accept, (name, data, accepted) => {
        assert.deepEqual(read(encodeOutput(name, data, accepted)), { ...nothing, [name]: data.toString('hex') });
      }),
    );
  });

  test('no message is longer than the stub accepts', () => {
    fc.assert(
      fc.property(stream, streamBytes, accept, (name, data, accepted) => {
        for (const message of encodeOutput(name, data, accepted)) assert.ok(message.length <= accepted.frame);
      }),
    );
  });

  test('no message holds a NUL unless the stub reads messages of that length in bulk', () => {
    fc.assert(
      fc.property(stream, streamBytes, accept, (name, data, accepted) => {
        for (const message of encodeOutput(name, data, accepted)) assert.ok(!message.includes(0) || readsInBulk(message, accepted));
      }),
    );
  });

  test('a stub that reads everything in bulk gets the bytes raw, in as few messages as possible', () => {
    fc.assert(
      fc.property(stream, streamBytes, accept, (name, data, { frame }) => {
        const messages = [...encodeOutput(name, data, { frame, bulk: 2 })];
        assert.equal(messages.length, Math.ceil(data.length / (frame - 1)));
      }),
    );
  });

  test('no message is empty', () => {
    fc.assert(
      fc.property(stream, streamBytes, accept, (name, data, accepted) => {
        for (const message of encodeOutput(name, data, accepted)) assert.ok(message.length > 1);
      }),
    );
  });

  test('the caller may use its buffer again once the messages were made', () => {
    const data = Buffer.from('before');
    const messages = [...encodeOutput('stdout', data, { frame: 1024, bulk: 0 })];
    data.fill('x');
    assert.deepEqual(read(messages), { ...nothing, stdout: Buffer.from('before').toString('hex') });
  });
});

suite('the terminal record', () => {
  test('what was encoded is decoded: outcome, code and totals, with the message on one line', () => {
    fc.assert(
      fc.property(terminal, (record) => {
        const decoded = decodeAgentMessage(encodeTerminal(record));
        assert.ok(decoded.type === 'terminal');
        const { message, ...rest } = decoded;
        assert.deepEqual({ ...rest, message: record.message }, { type: 'terminal', ...record });
        assertOneLine(message);
      }),
    );
  });

  test('what was decoded is encoded to the same bytes', () => {
    fc.assert(
      fc.property(terminal, (record) => {
        const bytes = encodeTerminal(record);
        assert.deepEqual(encode(decodeAgentMessage(bytes)), bytes);
      }),
    );
  });

  test('a message without control characters, of up to 1,024 bytes, arrives as it is', () => {
    fc.assert(
      fc.property(terminal, fc.string({ unit: fc.constantFrom('a', ' ', 'é', '🔥', '"', '%'), maxLength: 256 }), (record, message) => {
        const decoded = decodeAgentMessage(encodeTerminal({ ...record, message }));
        assert.ok(decoded.type === 'terminal');
        assert.equal(decoded.message, message);
      }),
    );
  });
});

suite('notices', () => {
  test('a notice is one line of at most 1,024 bytes, cut between two characters', () => {
    fc.assert(
      fc.property(operatorText, (text) => {
        const decoded = decodeAgentMessage(encodeNotice(text));
        assert.ok(decoded.type === 'notice');
        assertOneLine(decoded.text);
        if (text.isWellFormed() && !text.includes('\ufffd')) assert.ok(!decoded.text.includes('\ufffd'));
      }),
    );
  });
});

suite('arbitrary bytes', () => {
  test('they are a message or a Failure, nothing else', () => {
    fc.assert(fc.property(fc.uint8Array(), (bytes) => decodesOrFails(Buffer.from(bytes))));
  });

  test('after any known type too', () => {
    const bytes = fc.tuple(
      fc.constantFrom('a', 'o', 'e', 'z', 'n', 'x', 't'),
      fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom('o', 'e', '0', '1', '9', ' ', 'x', '-', '\n') })),
    );
    fc.assert(fc.property(bytes, ([type, rest]) => decodesOrFails(Buffer.from(type + rest))));
  });
});

/** What a stub would have printed: the bytes of each stream in hex. */
function read(messages: Iterable<Buffer>): Record<Stream, string> {
  const streams = { ...nothing };
  for (const bytes of messages) {
    const message = decodeAgentMessage(bytes);
    assert.ok(message.type === 'output');
    streams[message.stream] += message.data.toString('hex');
  }
  return streams;
}

function encode(message: AgentMessage): Buffer {
  switch (message.type) {
    case 'accepted':
      return encodeAccepted(message.run);
    case 'notice':
      return encodeNotice(message.text);
    case 'tick':
      return TICK;
    case 'terminal':
      return encodeTerminal(message);
    case 'output':
      return assert.fail('output is encoded by encodeOutput');
  }
}

function readsInBulk(message: Buffer, { bulk }: Accept): boolean {
  return bulk !== 0 && message.length >= bulk;
}

function assertOneLine(text: string): void {
  assert.doesNotMatch(text, /\p{Cc}|\p{Zl}|\p{Zp}/u);
  assert.ok(Buffer.byteLength(text) <= LIMITS.text);
}

function decodesOrFails(bytes: Buffer): void {
  try {
    decodeAgentMessage(bytes);
  } catch (error) {
    assert.ok(error instanceof Failure, `${String(error)} is not a Failure`);
  }
}
