/** Messages over a stream: a line of JSON each. */
import type { Socket } from 'node:net';
import { StringDecoder } from 'node:string_decoder';
import type { ZodMiniType } from 'zod/mini';

/** Calls back with every message that arrives. A line that is none ends the connection. */
export function readLines<T>(socket: Socket, schema: ZodMiniType<T>, take: (message: T) => void): void {
  const decoder = new StringDecoder('utf8');
  let parts: string[] = [];
  socket.on('data', (chunk: Buffer) => {
    const [first = '', ...rest] = decoder.write(chunk).split('\n');
    parts.push(first);
    for (const next of rest) {
      const line = parts.join('');
      parts = [next];
      if (socket.destroyed) return;
      try {
        take(schema.parse(JSON.parse(line)));
      } catch (error) {
        socket.destroy(error instanceof Error ? error : undefined);
        return;
      }
    }
  });
}

/**
 * Lines of one turn of the event loop go out in one piece. Without effect once the connection has ended: what it would have said, the next one asks.
 * @param onSent is called once the system has taken the line
 */
export function writeLine(socket: Socket, message: object, onSent?: () => void): void {
  if (!socket.writable) return;
  if (socket.writableCorked === 0) {
    socket.cork();
    process.nextTick(() => {
      socket.uncork();
    });
  }
  socket.write(`${JSON.stringify(message)}\n`, onSent);
}
