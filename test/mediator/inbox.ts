/** Reads what a stub sends: an HTTP request, then frames. */
import type { Socket } from 'node:net';

export interface Message {
  opcode: number;
  data: Buffer;
}

/** What a stub asked for: its `start`, `resume` or other first message, and its stdin. */
export interface Request {
  first: string;
  stdin: Buffer;
  end: number;
}

export class Inbox {
  #source: AsyncIterator<unknown>;
  #buffer = Buffer.alloc(0);
  /** What to do with a ping: answer it, normally. */
  onPing: (data: Buffer) => void = () => undefined;

  constructor(source: Socket | AsyncIterator<unknown>) {
    this.#source = 'next' in source ? source : source[Symbol.asyncIterator]();
  }

  /** Header names in lower case; the request line has the name ''. */
  async headers(): Promise<Map<string, string>> {
    while (!this.#buffer.includes('\r\n\r\n')) await this.#more();
    const size = this.#buffer.indexOf('\r\n\r\n');
    const [line = '', ...rest] = this.#buffer.subarray(0, size).toString('latin1').split('\r\n');
    this.#buffer = this.#buffer.subarray(size + 4);
    return new Map([
      ['', line],
      ...rest.map((text): [string, string] => [text.slice(0, text.indexOf(':')).toLowerCase(), text.slice(text.indexOf(':') + 2)]),
    ]);
  }

  /** From here on comes the body of a request, in chunks (RFC 9112, section 7.1). */
  unwrap(): void {
    this.#source = new Inbox(this.#source).#chunks();
  }

  /** The next frame; everything that a stub sends is one message a frame. */
  async frame(): Promise<Message> {
    const [first = 0, second = 0] = await this.#take(2);
    if ((first & 0xf0) !== 0x80 || (second & 0x80) === 0)
      throw new Error('a frame of the stub is fragmented, unmasked or has reserved bits');
    const short = second & 0x7f;
    const size =
      short === 126 ? (await this.#take(2)).readUInt16BE() : short === 127 ? Number((await this.#take(8)).readBigUInt64BE()) : short;
    const mask = await this.#take(4);
    const data = Buffer.from(await this.#take(size));
    if (!mask.equals(Buffer.alloc(4))) data.forEach((byte, at) => (data[at] = byte ^ (mask[at % 4] ?? 0)));
    return { opcode: first & 0x0f, data };
  }

  /** The next message that is not a control frame. */
  async message(): Promise<Message> {
    for (;;) {
      const frame = await this.frame();
      if (frame.opcode < 8) return frame;
      if (frame.opcode === 9) this.onPing(frame.data);
    }
  }

  /** A whole request: until `end`, or one `resume`. */
  async request(): Promise<Request> {
    const first = (await this.message()).data.toString();
    const parts: Buffer[] = [];
    if (first.startsWith('{"type":"resume"')) return { first, stdin: Buffer.alloc(0), end: 0 };
    for (;;) {
      const { opcode, data } = await this.message();
      const end = opcode === 1 ? /^\{"type":"end","stdin":(\d+)\}$/.exec(data.toString()) : null;
      if (end !== null) return { first, stdin: Buffer.concat(parts).subarray(0, Number(end[1])), end: Number(end[1]) };
      if (opcode !== 2) throw new Error(`not due in an upload: ${data.toString()}`);
      parts.push(data);
    }
  }

  async *#chunks(): AsyncGenerator<Buffer> {
    for (;;) {
      while (!this.#buffer.includes('\r\n')) await this.#more();
      const line = this.#buffer.subarray(0, this.#buffer.indexOf('\r\n')).toString('latin1');
      await this.#take(line.length + 2);
      const chunk = Buffer.from(await this.#take(Number.parseInt(line, 16)));
      await this.#take(2);
      // After the last chunk the stub listens on, until it closes the connection.
      while (chunk.length === 0) await this.#more();
      yield chunk;
    }
  }

  async #take(size: number): Promise<Buffer> {
    while (this.#buffer.length < size) await this.#more();
    const taken = this.#buffer.subarray(0, size);
    this.#buffer = this.#buffer.subarray(size);
    return taken;
  }

  async #more(): Promise<void> {
    const next = await this.#source.next();
    if (!(next.value instanceof Buffer)) throw new Error('the stub closed the connection');
    this.#buffer = Buffer.concat([this.#buffer, next.value]);
  }
}
