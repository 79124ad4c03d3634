/** protocol/vectors/frames.json: what agents send, as bytes. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';

/** Hex digits; DIGITS*N stands for N times those bytes. */
const bytes = z.string().transform((text) =>
  Buffer.concat(
    text.split(' ').map((part) => {
      const [digits = '', times = '1'] = part.split('*');
      return Buffer.from(digits.repeat(Number(times)), 'hex');
    }),
  ),
);

const Case = z
  .strictObject({
    name: z.string().regex(/^[a-z0-9-]{1,64}$/),
    hex: bytes,
    messages: z.array(bytes).optional(),
    malformed: z.enum(['frame', 'message', 'order']).optional(),
    stdout: bytes,
    stderr: bytes.optional(),
    code: z.int(),
  })
  .transform(({ hex, ...rest }) => ({ ...rest, bytes: hex }));

export const frameVectors = z
  .object({ cases: z.array(Case) })
  .parse(JSON.parse(readFileSync(new URL('../../protocol/vectors/frames.json', import.meta.url), 'utf8'))).cases;
