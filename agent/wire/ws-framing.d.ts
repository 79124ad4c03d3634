/** What ws exports beside WebSocket, and @types/ws leaves out: its reader and writer of frames. */
import type { Writable } from 'node:stream';

declare module 'ws' {
  /** Takes bytes, emits `message` (data, binary), `ping` (data), `conclude` (code, reason) and `error`. */
  export class Receiver extends Writable {
    constructor(options: { isServer: boolean; maxPayload: number; skipUTF8Validation: boolean });
  }

  interface FrameOptions {
    fin: boolean;
    binary: boolean;
    compress: boolean;
    mask: boolean;
  }

  /** Writes frames. */
  export class Sender {
    constructor(socket: { write: (data: Buffer) => boolean; cork: () => void; uncork: () => void });
    send(data: string | Buffer, options: FrameOptions, callback?: () => void): void;
    pong(data: Buffer, mask: boolean, callback?: () => void): void;
    close(code: number, reason: string, mask: boolean, callback?: () => void): void;
  }
}
