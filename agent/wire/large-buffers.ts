/**
 * Buffers for messages full of output, which are used again. Each would otherwise be memory outside of V8's heap, of which V8 lets tens of MiB pile up
 * before it looks for what nobody needs. Who never gives one back loses nothing: it is garbage then, as any other.
 */

/** The most that the runner reads from the spool at a time. */
export const CHUNK = 256 * 1024;
/** A chunk, and the type of its message. */
const SIZE = CHUNK + 1;
/** A shorter message would hold too much that it does not use for as long as its reader does not read. */
const WORTHWHILE = SIZE / 2;
/** Idle ones that are kept, 2 MiB: what a few readers that are fast at the same time have on the way. */
const MOST = 8;

const idle: Buffer[] = [];
const ours = new WeakSet<ArrayBufferLike>();

/** A buffer of that length, with anything in it. */
export function takeBuffer(length: number): Buffer {
  if (length < WORTHWHILE || length > SIZE) return Buffer.allocUnsafe(length);
  const whole = idle.pop() ?? Buffer.allocUnsafeSlow(SIZE);
  ours.add(whole.buffer);
  return whole.subarray(0, length);
}

/** Nobody reads it any more. Buffers that came from elsewhere are left alone, and what is given back twice counts once. */
export function giveBuffer(buffer: Buffer): void {
  if (idle.length < MOST && ours.delete(buffer.buffer)) idle.push(Buffer.from(buffer.buffer, 0, SIZE));
}
