/** What fast-check draws its values from: claims, messages and terminal records as they may stand on the wire. */
import fc from 'fast-check';
import type { Claim } from '../../protocol/auth.ts';
import { LIMITS } from '../../protocol/constants.ts';
import { type Accept, HOSTS, type StubMessage } from '../../protocol/messages.ts';
import { OUTCOME_NAMES } from '../../protocol/outcomes.ts';
import type { Terminal } from '../../protocol/records.ts';

/** Objects with the prototype that literals have, so that deepEqual takes them for equal. */
const plain = { noNullPrototype: true } as const;
const hex = (digits: number) => text('0123456789abcdef', digits, digits);
const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

export const secret = text(`${letters}0123456789_-`, 32, 64);

export const claim: fc.Arbitrary<Claim> = fc.record(
  {
    audience: text('abcxyz0189._:-', 1, 255),
    key: text(`${letters}0123456789._-`, 1, 64),
    time: fc.nat({ max: Number.MAX_SAFE_INTEGER }).map(String),
    nonce: hex(32),
  },
  plain,
);

export const accept: fc.Arbitrary<Accept> = fc.record(
  {
    frame: fc.oneof(
      fc.integer({ min: LIMITS.frameMin, max: 2 * LIMITS.frameMin }),
      fc.integer({ min: LIMITS.frameMin, max: LIMITS.message }),
    ),
    bulk: fc.oneof(fc.constant(0), fc.integer({ min: 2, max: 64 }), fc.integer({ min: 2, max: 2 * LIMITS.frameMin })),
  },
  plain,
);

/** Bytes of a stream in which NUL is as frequent as text is. */
export const streamBytes: fc.Arbitrary<Buffer> = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.integer({ min: 1, max: 1500 }).map((count) => new Uint8Array(count)),
      fc.integer({ min: 1, max: 1500 }).map((count) => new Uint8Array(count).fill(0x61)),
    ),
    { maxLength: 8 },
  )
  .map((parts) => Buffer.concat(parts));

const byteCount = fc.maxSafeNat();
const token = hex(32);
const text16 = fc.string({ unit: 'binary', maxLength: 16 });
const args = fc.array(text16.map(withoutNul), { maxLength: 5 });
/** `__proto__` is a name that no message carries: reading drops it (messages.test.ts says so). */
const variable = text(`${letters}_`, 1, 20).filter((name) => name !== '__proto__');
const env = fc.dictionary(variable, text16.map(withoutNul), { maxKeys: 5, ...plain });
const caller = fc.record({ key: text(letters, 1, 64), address: fc.ipV4() }, plain);

export const stubMessage: fc.Arbitrary<StubMessage> = fc.oneof(
  fc.record(
    {
      type: fc.constant('start' as const),
      token,
      script: text(`${letters}/._-`, 1, 255),
      args,
      env,
      host: fc.constantFrom(...HOSTS),
      timeout: fc.integer({ min: 1, max: LIMITS.timeoutSeconds }),
      accept,
      stub: text('0123456789.', 0, 64),
      bash: text('0123456789.()-', 0, 64),
      caller,
    },
    { requiredKeys: ['type', 'token', 'script', 'args', 'env', 'host', 'accept', 'stub', 'bash'], ...plain },
  ),
  fc.record(
    { type: fc.constant('resume' as const), token, stdout: byteCount, stderr: byteCount, accept, caller },
    { requiredKeys: ['type', 'token', 'stdout', 'stderr', 'accept'], ...plain },
  ),
  fc.record({ type: fc.constant('end' as const), stdin: byteCount }, plain),
  fc.record({ type: fc.constantFrom('cancel' as const, 'ack' as const) }, plain),
);

/** Any text that an agent could want to say, control characters and line separators included. */
export const operatorText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: fc.constantFrom('a', ' ', '\n', '\r', '\0', '\u0085', '\u2028', '\u2029', '\ud83d', '🔥', 'é') }),
  fc.string({ unit: fc.constantFrom('a', 'é', '🔥', '語'), minLength: 300, maxLength: 1200 }),
);

export const terminal: fc.Arbitrary<Terminal> = fc.record(
  {
    outcome: fc.constantFrom(...OUTCOME_NAMES),
    code: fc.integer({ min: 0, max: 255 }),
    stdout: fc.nat({ max: 999_999_999_999_999 }),
    stderr: fc.nat({ max: 999_999_999_999_999 }),
    message: operatorText,
  },
  plain,
);

function text(alphabet: string, minLength: number, maxLength: number): fc.Arbitrary<string> {
  return fc.string({ unit: fc.constantFrom(...Array.from(alphabet)), minLength, maxLength });
}

function withoutNul(value: string): string {
  return value.replaceAll('\0', '');
}
