/** What an agent does after the upgrade, by the name of the scenario. */
import { encodeAccepted, encodeOutput, encodeTerminal, TICK, type Stream } from '../../protocol/records.ts';
import { z } from 'zod';
import { Accept } from '../../protocol/messages.ts';
import type { Inbox, Request } from './inbox.ts';

/** What an agent writes to: a connection, or the body of an answer. */
export interface Line {
  write: (data: Buffer) => unknown;
  /** Cuts the connection after that. */
  end: () => unknown;
  destroy: () => unknown;
}

export interface Call {
  socket: Line;
  inbox: Inbox;
  /** 1 for the first connection of this scenario. */
  call: number;
  /** Writes a file for the test to read. */
  save: (name: string, data: string | Buffer) => void;
}

const RUN = '01JDB4M5N6P7Q8R9S0T1V2W3X4';
/** Every byte value, in an order that is not that of the alphabet. */
const BINARY = Buffer.from(Array.from({ length: 1_500_000 }, (_, at) => (at * 7919 + (at >> 8) * 31) & 0xff));

export const stories: Record<string, (call: Call) => Promise<void>> = {
  /** Gives stdin back. */
  async echo({ socket, inbox, save }) {
    const request = await inbox.request();
    save('start', request.first);
    save('stdin', request.stdin);
    accept(socket);
    output(socket, 'stdout', request.stdin, request);
    end(socket, { stdout: request.stdin.length });
    save('ended', (await inbox.message()).data);
  },
  /** The start message on stdout. */
  async start({ socket, inbox }) {
    const request = await inbox.request();
    const data = Buffer.from(request.first);
    accept(socket);
    output(socket, 'stdout', data, request);
    end(socket, { stdout: data.length });
  },
  /** One and a half million bytes of all values on stdout and, in between, on stderr. */
  async binary({ socket, inbox }) {
    const request = await inbox.request();
    accept(socket);
    for (let at = 0; at < BINARY.length; at += 700_000) {
      output(socket, 'stdout', BINARY.subarray(at, at + 700_000), request);
      output(socket, 'stderr', BINARY.subarray(at, at + 700_000), request);
    }
    end(socket, { stdout: BINARY.length, stderr: BINARY.length });
  },
  async 'hundred-mebibytes'({ socket, inbox }) {
    const request = await inbox.request();
    accept(socket);
    for (let at = 0; at < 100; at++) output(socket, 'stdout', Buffer.alloc(1_048_576, 'x'), request);
    end(socket, { stdout: 104_857_600 });
  },
  /** Accepts, and then nothing but ticks; saves what comes, on this connection or on one that resumes. */
  async forever({ socket, inbox, save }) {
    await inbox.request();
    accept(socket);
    output(socket, 'stdout', Buffer.from('going\n'));
    const ticking = setInterval(() => send(socket, TICK), 100);
    try {
      save('ended', (await inbox.message()).data);
    } finally {
      clearInterval(ticking);
    }
  },
  /** Writes to a stdout that nobody reads. */
  async flood({ socket, inbox, save }) {
    const request = await inbox.request();
    accept(socket);
    const flooding = setInterval(() => output(socket, 'stdout', Buffer.alloc(65_000, 'f'), request), 5);
    try {
      save('ended', (await inbox.message()).data);
    } finally {
      clearInterval(flooding);
    }
  },
  /** Cuts the connection after some output, three times, in the middle of frames; goes on where `resume` says. */
  async cuts({ socket, inbox, call, save }) {
    const request = await inbox.request();
    if (call > 1) save(`resume${call - 1}`, request.first);
    const { stdout } = Resume.parse(call > 1 ? JSON.parse(request.first) : { stdout: 0 });
    const rest = BINARY.subarray(stdout);
    if (call === 4) {
      accept(socket);
      output(socket, 'stdout', rest, request);
      end(socket, { stdout: BINARY.length });
      return;
    }
    const frames: Buffer[] = [frame(encodeAccepted(RUN))];
    for (const message of encodeOutput('stdout', rest, acceptOf(request))) frames.push(frame(message));
    socket.write(Buffer.concat(frames).subarray(0, [10_000, 400_000, 300_001][call - 1]));
    socket.end();
  },
  /** Goes away before it said whether it accepted. The second time it accepts. */
  async 'lost-before-accepted'({ socket, inbox, call, save }) {
    const request = await inbox.request();
    save(`start${call}`, request.first);
    save(`stdin${call}`, request.stdin);
    if (call === 1) {
      socket.end();
      return;
    }
    accept(socket);
    end(socket, { code: 5 });
  },
  /** Goes away for good after it accepted. */
  async 'lost-for-good'({ socket, inbox, call }) {
    if (call > 1) {
      socket.destroy();
      return;
    }
    await inbox.request();
    accept(socket);
    socket.end();
  },
  /** Accepts and falls silent; a stub that resumes gets the end. */
  async 'falls-silent'({ socket, inbox, call }) {
    await inbox.request();
    accept(socket);
    if (call > 1) end(socket, { code: 6 });
  },
  /** Announces a long message, sends half of it and falls silent; a stub that resumes gets all of it. */
  async 'stalls-in-a-frame'({ socket, inbox, call }) {
    const request = await inbox.request();
    const text = Buffer.alloc(20_000, 's');
    accept(socket);
    if (call > 1) {
      output(socket, 'stdout', text, request);
      end(socket, { stdout: text.length });
    } else {
      socket.write(frame(Buffer.concat([Buffer.from('o'), text])).subarray(0, 10_000));
    }
  },
  /** Does not know the run any more when the stub comes back. */
  async 'unknown-run'({ socket, inbox, call }) {
    const request = await inbox.request();
    if (call === 1) {
      accept(socket);
      output(socket, 'stdout', Buffer.from('half'), request);
      socket.end();
    } else {
      send(socket, encodeTerminal({ outcome: 'refused', code: 125, stdout: 0, stderr: 0, message: 'there is no such run' }));
    }
  },
  /** Refuses during the upload, as soon as it sees `start`, and reads no more. */
  async 'refused-while-uploading'({ socket, inbox }) {
    await inbox.message();
    send(socket, encodeTerminal({ outcome: 'refused', code: 77, stdout: 0, stderr: 0, message: 'the key may not call this' }));
  },
  /** Ends the WebSocket properly, but without a terminal record. */
  async 'closes-politely'({ socket, inbox, call }) {
    await inbox.request();
    if (call === 1) accept(socket);
    socket.write(frame(Buffer.from([0x03, 0xe9]), 0x88));
    socket.end();
  },
};

const Resume = z.looseObject({ stdout: z.int() });
const First = z.looseObject({ accept: Accept });

function accept(socket: Line): void {
  send(socket, encodeAccepted(RUN));
}

function end(socket: Line, terminal: { code?: number; stdout?: number; stderr?: number }): void {
  send(socket, encodeTerminal({ outcome: 'exited', code: 0, stdout: 0, stderr: 0, message: '', ...terminal }));
}

function output(socket: Line, stream: Stream, data: Buffer, request?: Request): void {
  for (const message of encodeOutput(stream, data, request === undefined ? { frame: 1024, bulk: 0 } : acceptOf(request)))
    send(socket, message);
}

function acceptOf(request: Request): Accept {
  return First.parse(JSON.parse(request.first)).accept;
}

function send(socket: Line, message: Buffer): void {
  socket.write(frame(message));
}

/** An unmasked final frame; binary unless its first byte is given. */
function frame(payload: Buffer, first = 0x82): Buffer {
  const size = payload.length;
  if (size < 126) return Buffer.concat([Buffer.from([first, size]), payload]);
  if (size < 65_536) return Buffer.concat([Buffer.from([first, 126, size >> 8, size & 255]), payload]);
  const header = Buffer.alloc(10);
  header.writeUInt8(first);
  header.writeUInt8(127, 1);
  header.writeBigUInt64BE(BigInt(size), 2);
  return Buffer.concat([header, payload]);
}
