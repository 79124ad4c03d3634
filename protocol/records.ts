/** The messages of the agent (protocol/README.md, section 3) and their codec. The first byte is the type, the rest is raw. */
import { LIMITS } from './constants.ts';
import { Failure } from './failures.ts';
import { type Accept, RunId } from './messages.ts';
import { isOutcome, type Outcome } from './outcomes.ts';

export type Stream = 'stdout' | 'stderr';

/** How an invocation ended, as the stub is told. */
export interface Terminal {
  outcome: Outcome;
  /** The exit code for the stub, 0 to 255. */
  code: number;
  /** Total bytes of the run's stdout, from its beginning. */
  stdout: number;
  /** Total bytes of the run's stderr, from its beginning. */
  stderr: number;
  /** One line for the operator; empty for none. */
  message: string;
}

export type AgentMessage =
  | { type: 'accepted'; run: string }
  | { type: 'output'; stream: Stream; data: Buffer }
  | { type: 'notice'; text: string }
  | { type: 'tick' }
  | ({ type: 'terminal' } & Terminal);

const TYPE = { accepted: 0x61, stdout: 0x6f, stderr: 0x65, zeros: 0x7a, notice: 0x6e, tick: 0x74, terminal: 0x78 } as const;
const TERMINAL = /^([a-z-]+) (\d{1,3}) (\d{1,15}) (\d{1,15})(?: (.*))?$/;
const MAX_ZEROS = LIMITS.message;

export const TICK = Buffer.from([TYPE.tick]);

export function encodeAccepted(run: string): Buffer {
  return Buffer.from(`a${run}`);
}

export function encodeNotice(text: string): Buffer {
  return Buffer.from(`n${oneLine(text)}`);
}

export function encodeTerminal({ outcome, code, stdout, stderr, message }: Terminal): Buffer {
  const line = `x${outcome} ${code} ${stdout} ${stderr}`;
  return Buffer.from(message === '' ? line : `${line} ${oneLine(message)}`);
}

type Take = (length: number) => Buffer;

/**
 * Bytes of a stream as messages that the stub is able to read: none longer than `accept.frame`, and NUL bytes only in messages of
 * at least `accept.bulk` bytes.
 * @param take makes the buffer of a message
 */
export function* encodeOutput(
  stream: Stream,
  data: Buffer,
  accept: Accept,
  take: Take = (length) => Buffer.allocUnsafe(length),
): Generator<Buffer> {
  const room = accept.frame - 1;
  for (let from = 0; from < data.length; from += room) {
    const part = data.subarray(from, from + room);
    const bulk = accept.bulk !== 0 && part.length + 1 >= accept.bulk;
    if (bulk || !part.includes(0)) yield typed(stream, part, take);
    else yield* withoutZeros(stream, part, take);
  }
}

/** @throws Failure `invalid-message` */
export function decodeAgentMessage(data: Buffer): AgentMessage {
  const rest = data.subarray(1);
  switch (data[0]) {
    case TYPE.accepted:
      return decodeAccepted(rest.toString('latin1'));
    case TYPE.stdout:
      return { type: 'output', stream: 'stdout', data: rest };
    case TYPE.stderr:
      return { type: 'output', stream: 'stderr', data: rest };
    case TYPE.zeros:
      return decodeZeros(rest.toString('latin1'));
    case TYPE.notice:
      return { type: 'notice', text: rest.toString() };
    case TYPE.tick:
      return decodeTick(rest);
    case TYPE.terminal:
      return decodeTerminal(rest.toString());
    case undefined:
    default:
      throw new Failure('invalid-message', `unknown message type ${JSON.stringify(data.subarray(0, 1).toString('latin1'))}`);
  }
}

function* withoutZeros(stream: Stream, data: Buffer, take: Take): Generator<Buffer> {
  let from = 0;
  while (from < data.length) {
    const zero = data.indexOf(0, from);
    const textEnd = zero === -1 ? data.length : zero;
    if (textEnd > from) yield typed(stream, data.subarray(from, textEnd), take);
    from = textEnd;
    while (data[from] === 0) from += 1;
    if (from > textEnd) yield Buffer.from(`z${stream === 'stdout' ? 'o' : 'e'}${from - textEnd}`);
  }
}

function typed(stream: Stream, data: Buffer, take: Take): Buffer {
  const message = take(data.length + 1);
  message[0] = TYPE[stream];
  data.copy(message, 1);
  return message;
}

function decodeAccepted(run: string): AgentMessage {
  if (!RunId.safeParse(run).success) throw new Failure('invalid-message', 'a malformed run id');
  return { type: 'accepted', run };
}

function decodeTick(rest: Buffer): AgentMessage {
  if (rest.length > 0) throw new Failure('invalid-message', 'a tick with a rest');
  return { type: 'tick' };
}

function decodeZeros(text: string): AgentMessage {
  const match = /^([oe])([1-9]\d{0,6})$/.exec(text);
  const count = Number(match?.[2]);
  if (match === null || count > MAX_ZEROS) throw new Failure('invalid-message', 'a malformed run of NUL bytes');
  return { type: 'output', stream: match[1] === 'o' ? 'stdout' : 'stderr', data: Buffer.alloc(count) };
}

function decodeTerminal(text: string): AgentMessage {
  const [, name = '', code, stdout, stderr, message = ''] = TERMINAL.exec(text) ?? [];
  if (!isOutcome(name) || Number(code) > 255) throw new Failure('invalid-message', 'a malformed terminal record');
  return { type: 'terminal', outcome: name, code: Number(code), stdout: Number(stdout), stderr: Number(stderr), message };
}

/** Operators' text on one line, without control characters and the line separators of Unicode, cut to its limit in bytes at a character. */
function oneLine(text: string): string {
  // eslint-disable-next-line no-control-regex -- control characters are what is replaced
  const line = text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ');
  const bytes = Buffer.from(line);
  if (bytes.length <= LIMITS.text) return line;
  return bytes
    .subarray(0, LIMITS.text)
    .toString()
    .replace(/\ufffd+$/, '');
}
