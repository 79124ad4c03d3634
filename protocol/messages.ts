/**
 * The messages of the stub (protocol/README.md, section 2): their schemas, and the codec for text messages. Long because every message stands here: what one
 * side sends is what the other one takes.
 */
import { z } from 'zod';
import { KEY_ID } from './auth.ts';
import { LIMITS } from './constants.ts';
import { FAILURE_CODES, Failure } from './failures.ts';
import { hasTooManyValues } from './values.ts';

export const HOSTS = ['securechange', 'checkpoint', 'generic'] as const;

const byteCount = z.int().nonnegative();

/** A ULID: 26 characters of Crockford's base 32. */
export const RunId = z.string().regex(/^[0-9A-HJKMNP-TV-Z]{26}$/, 'is not a run id (26 characters)');
export const Token = z.string().regex(/^[0-9a-f]{32}$/, 'is not 32 lower-case hex digits');

/** What the stub is able to read; `records.ts` says what follows from it. */
export const Accept = z.strictObject({
  frame: z.int().min(LIMITS.frameMin).max(LIMITS.message),
  bulk: z.union([z.literal(0), z.int().min(2)]),
});
export type Accept = z.infer<typeof Accept>;

/** Who calls, as the front knows it. Only the front may say so. `previous`: proven by a secret that a rotation has replaced. */
export const Caller = z.strictObject({
  key: z.string().regex(new RegExp(`^${KEY_ID}$`)),
  address: z.string().max(64),
  previous: z.boolean().optional(),
});
export type Caller = z.infer<typeof Caller>;

export const Start = z.strictObject({
  type: z.literal('start'),
  token: Token,
  script: z
    .string()
    .min(1)
    .refine((name) => Buffer.byteLength(name) <= LIMITS.scriptName, `is longer than ${LIMITS.scriptName} bytes`)
    .optional(),
  event: z.string().min(1).max(LIMITS.eventName).optional(),
  task: z.string().min(1).max(LIMITS.scriptName).optional(),
  args: z.array(z.string()),
  env: z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, 'is not a variable name'), z.string()),
  host: z.enum(HOSTS),
  timeout: z.int().min(1).max(LIMITS.timeoutSeconds).optional(),
  accept: Accept,
  stub: z.string().max(64),
  bash: z.string().max(64),
  caller: Caller.optional(),
});
export type Start = z.infer<typeof Start>;

/** What is called. `event` is empty where the host named none. */
export interface Call {
  /** Undefined: an event. */
  script: string | undefined;
  host: Start['host'];
  event: string;
}

export function callOf({ script, host, event, env }: Start): Call {
  return { script, host, event: event ?? env.SCW_EVENT ?? '' };
}

export const Resume = z.strictObject({
  type: z.literal('resume'),
  token: Token,
  stdout: byteCount,
  stderr: byteCount,
  accept: Accept,
  caller: Caller.optional(),
});
export type Resume = z.infer<typeof Resume>;

/** Over the Unix socket only: reads any run by its id. */
export const Read = z.strictObject({ type: z.literal('read'), run: RunId, stdout: byteCount, stderr: byteCount, accept: Accept });
export type Read = z.infer<typeof Read>;

/** Over the Unix socket only: the front has refused a call whose key was proven. Any number of them. */
export const Refused = z.strictObject({
  type: z.literal('refused'),
  /** Milliseconds since the epoch. */
  at: byteCount,
  code: z.enum(FAILURE_CODES),
  reason: z.string().max(LIMITS.text),
  caller: Caller,
  /** Of the call, as far as it was told. */
  script: z.string().max(LIMITS.scriptName).optional(),
  event: z.string().max(LIMITS.eventName).optional(),
  host: Start.shape.host.optional(),
});
export type Refused = z.infer<typeof Refused>;

export const End = z.strictObject({ type: z.literal('end'), stdin: byteCount });
export const Cancel = z.strictObject({ type: z.literal('cancel') });
export const Ack = z.strictObject({ type: z.literal('ack') });

export const StubMessage = z.discriminatedUnion('type', [Start, Resume, Read, Refused, End, Cancel, Ack]);
export type StubMessage = z.infer<typeof StubMessage>;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * A text message as a value.
 * @throws Failure `invalid-text`, `invalid-message`, `request-too-large` or `argument-too-long`
 */
export function decodeStubMessage(data: Uint8Array): StubMessage {
  const text = decodeUtf8(data);
  if (hasTooManyValues(text)) throw new Failure('request-too-large', 'the request has too many arguments or variables');
  const result = StubMessage.safeParse(parseJson(text));
  if (!result.success) throw new Failure('invalid-message', describe(result.error));
  if (result.data.type === 'start') checkStart(result.data);
  return result.data;
}

export function encodeStubMessage(message: StubMessage): string {
  return JSON.stringify(message);
}

function decodeUtf8(data: Uint8Array): string {
  try {
    return utf8.decode(data);
  } catch (cause) {
    throw new Failure('invalid-text', 'the script name, an argument or a variable is not UTF-8; pass such bytes on stdin', { cause });
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Failure('invalid-message', 'a text message is not JSON; stub and agent do not fit together', { cause });
  }
}

function describe(error: z.ZodError): string {
  const { path, message } = error.issues[0] ?? { path: [], message: 'unknown' };
  const where = path.length > 0 ? `${path.join('.')}: ` : '';
  return `a message is malformed: ${where}${message}; stub and agent do not fit together`;
}

function checkStart(start: Start): void {
  if (start.script?.isWellFormed() === false)
    throw new Failure('invalid-text', 'the script name holds half a surrogate pair, which is not UTF-8');
  if (start.args.length > LIMITS.arguments) throw new Failure('request-too-large', `more than ${LIMITS.arguments} arguments`);
  start.args.forEach((arg, index) => {
    const size = Buffer.byteLength(arg);
    if (size > LIMITS.argument) {
      throw new Failure(
        'argument-too-long',
        `argument ${index + 1} has ${size} bytes; Linux passes at most ${LIMITS.argument} in one argument; send it on stdin`,
      );
    }
    checkText(arg, `argument ${index + 1}`);
  });
  const variables = Object.entries(start.env);
  if (variables.length > LIMITS.variables) throw new Failure('request-too-large', `more than ${LIMITS.variables} variables`);
  for (const [name, value] of variables) {
    if (Buffer.byteLength(value) > LIMITS.variable) {
      throw new Failure('request-too-large', `the variable ${name} is longer than ${LIMITS.variable} bytes`);
    }
    checkText(value, `the variable ${name}`);
  }
}

/** Text that a process can be given as it is. An escape such as \ud83d, half a pair of surrogates, has no encoding in UTF-8. */
function checkText(text: string, what: string): void {
  if (text.includes('\0')) throw new Failure('invalid-text', `${what} holds a NUL, which a process cannot be given; send it on stdin`);
  if (!text.isWellFormed()) throw new Failure('invalid-text', `${what} holds half a surrogate pair, which is not UTF-8; send it on stdin`);
}
