import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { LIMITS } from '../../protocol/constants.ts';
import { Failure } from '../../protocol/failures.ts';
import { decodeStubMessage, encodeStubMessage } from '../../protocol/messages.ts';
import { stubMessage } from './arbitraries.ts';
import { messageVectors } from './vectors.ts';

suite('golden vectors of the stub’s messages', () => {
  for (const { name, bytes } of messageVectors.valid) {
    test(`${name} is read as it was written`, () => {
      assert.deepEqual(decodeStubMessage(bytes), JSON.parse(bytes.toString()));
    });
  }

  for (const { name, bytes, failure } of messageVectors.refused) {
    test(`${name} is refused as ${failure}`, () => {
      assert.throws(() => decodeStubMessage(bytes), { name: 'Failure', code: failure });
    });
  }

  test('vectors have different names and different bytes', () => {
    const all = [...messageVectors.valid, ...messageVectors.refused];
    assert.equal(new Set(all.map(({ name }) => name)).size, all.length);
    assert.equal(new Set(all.map(({ bytes }) => bytes.toString('latin1'))).size, all.length);
  });
});

suite('the codec of the stub’s messages', () => {
  test('what was encoded is decoded to the same message', () => {
    fc.assert(
      fc.property(stubMessage, (message) => {
        assert.deepEqual(decodeStubMessage(Buffer.from(encodeStubMessage(message))), message);
      }),
    );
  });

  test('an encoded message is one line', () => {
    fc.assert(fc.property(stubMessage, (message) => assert.ok(!encodeStubMessage(message).includes('\n'))));
  });

  test('arbitrary bytes are a message or a Failure, nothing else', () => {
    fc.assert(fc.property(fc.uint8Array(), (bytes) => decodesOrFails(bytes)));
  });

  test('arbitrary JSON is a message or a Failure, nothing else', () => {
    fc.assert(fc.property(fc.json(), (text) => decodesOrFails(Buffer.from(text))));
  });

  test('a message with any one value replaced is a message or a Failure, nothing else', () => {
    fc.assert(
      fc.property(stubMessage, fc.nat(), fc.jsonValue(), (message, at, value) => {
        const fields = Object.entries(message);
        const field = fields[at % fields.length]?.[0] ?? 'type';
        decodesOrFails(Buffer.from(JSON.stringify({ ...message, [field]: value })));
      }),
    );
  });

  test('a message with any one byte replaced is a message or a Failure, nothing else', () => {
    fc.assert(
      fc.property(stubMessage, fc.nat(), fc.nat({ max: 255 }), (message, at, byte) => {
        const bytes = Buffer.from(encodeStubMessage(message));
        bytes[at % bytes.length] = byte;
        decodesOrFails(bytes);
      }),
    );
  });

  test('a variable named __proto__ is never passed on, and makes no prototype', () => {
    const start = messageVectors.valid[0]?.bytes.toString().replace('SCW_EVENT', '__proto__') ?? '';
    const message = decodeOrUndefined(Buffer.from(start));
    assert.deepEqual(message?.type === 'start' ? message.env : {}, {});
  });

  test('lists within lists, as deep as a message can hold, are a Failure', () => {
    const half = LIMITS.message / 2;
    assert.throws(() => decodeStubMessage(Buffer.from('['.repeat(half) + ']'.repeat(half))), {
      name: 'Failure',
      code: 'request-too-large',
    });
  });

  test('text that was decoded can be passed to a process without a change', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', '\\ud83d', '\\udd25', '\\u0000', '\\\\') }), (escaped) => {
        const start = messageVectors.valid[0]?.bytes.toString().replace('--queue', escaped) ?? '';
        const message = decodeOrUndefined(Buffer.from(start));
        if (message?.type !== 'start') return;
        for (const arg of message.args) {
          assert.equal(Buffer.from(arg).toString(), arg);
          assert.ok(!arg.includes('\0'));
        }
      }),
    );
  });
});

function decodesOrFails(bytes: Uint8Array): void {
  decodeOrUndefined(bytes);
}

function decodeOrUndefined(bytes: Uint8Array): ReturnType<typeof decodeStubMessage> | undefined {
  try {
    return decodeStubMessage(bytes);
  } catch (error) {
    assert.ok(error instanceof Failure, `${String(error)} is not a Failure`);
    return undefined;
  }
}
