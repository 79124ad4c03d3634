/** The frames of a link: the number of the call (4 bytes), what the frame is (1), the length of its payload (4), and the payload. */
import { MAX_PAYLOAD } from './connection.ts';

/** Bytes before the payload. */
export const HEADER = 9;

export const KIND = {
  /** Begins a conversation; no payload. */
  open: 1,
  /** It was taken; no payload. */
  opened: 2,
  text: 3,
  binary: 4,
  /** So many bytes more have been passed on: 4 bytes. */
  credit: 5,
  /** The last frame but for its answer: the code, 2 bytes. */
  close: 6,
  /** The conversation was not taken, or was cut off: the last frame; no payload. */
  gone: 7,
} as const;
export type Kind = (typeof KIND)[keyof typeof KIND];

/** Of the payloads of those that always have the same. */
const LENGTHS: Record<number, number> = { [KIND.open]: 0, [KIND.opened]: 0, [KIND.credit]: 4, [KIND.close]: 2, [KIND.gone]: 0 };

/** Whether a kind and a length fit together. */
export function isFrame(kind: number, length: number): boolean {
  if (kind === KIND.text || kind === KIND.binary) return length <= MAX_PAYLOAD;
  return LENGTHS[kind] === length;
}

/** The payload of a credit. */
export function creditOf(bytes: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(bytes);
  return payload;
}

/** The payload of a close. */
export function closeOf(code: number): Buffer {
  const payload = Buffer.alloc(2);
  payload.writeUInt16BE(code);
  return payload;
}
