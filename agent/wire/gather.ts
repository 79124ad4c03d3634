/** Everything that is written to a stream in one turn of the event loop leaves in one piece: one system call, one packet, one TLS record. */
import type { Writable } from 'node:stream';

export function gather(stream: Pick<Writable, 'cork' | 'uncork' | 'writableCorked'>): void {
  if (stream.writableCorked > 0) return;
  stream.cork();
  process.nextTick(() => {
    stream.uncork();
  });
}
