/**
 * Buffers for messages full of output, which are used again. Each would otherwise be memory outside of V8's heap, of which V8 lets tens of MiB pile up
 * before it looks for what nobody needs. Who never gives one back loses nothing: it is garbage then, as any other.
 */

/** The most that the runner reads from the spool at a time, as a rule. */
export const CHUNK = 256 * 1024;
/** … and for few readers: the longest message. What a stub does for one message, above all starting dd, takes it longer than a chunk. */
export const LARGE = 1024 * 1024 - 1;

/** Idle ones that are kept, 2 MiB and 4 MiB: what a few readers that are fast at the same time have on the way. */
const CLASSES: { size: number; most: number; idle: Buffer[] }[] = [
  { size: CHUNK + 1, most: 8, idle: [] },
  { size: LARGE + 1, most: 4, idle: [] },
];
const ours = new WeakSet<ArrayBufferLike>();

/** A buffer of that length, with anything in it. A short one is not worth it: for as long as its reader does not read, it would hold what it does not use. */
export function takeBuffer(length: number): Buffer {
  const fitting = CLASSES.find(({ size }) => length > size / 2 && length <= size);
  if (fitting === undefined) return Buffer.allocUnsafe(length);
  const whole = fitting.idle.pop() ?? Buffer.allocUnsafeSlow(fitting.size);
  ours.add(whole.buffer);
  return whole.subarray(0, length);
}

/** Nobody reads it any more. Buffers that came from elsewhere are left alone, and what is given back twice counts once. */
export function giveBuffer({ buffer }: Buffer): void {
  const kind = CLASSES.find(({ size }) => size === buffer.byteLength);
  if (kind !== undefined && kind.idle.length < kind.most && ours.delete(buffer)) kind.idle.push(Buffer.from(buffer, 0, kind.size));
}
