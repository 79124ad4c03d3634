/** The golden vectors of protocol/vectors/*.json. The bash suite reads the same files. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { FAILURE_CODES } from '../../protocol/failures.ts';
import { Accept } from '../../protocol/messages.ts';

const hex = z
  .string()
  .regex(/^([0-9a-f]{2})*$/)
  .transform((text) => Buffer.from(text, 'hex'));

const Auth = z.strictObject({
  secret: z.string(),
  audience: z.string(),
  key: z.string(),
  time: z.string(),
  nonce: z.string(),
  canonical: z.string(),
  stubProof: z.string(),
  agentProof: z.string(),
  authorization: z.string(),
});
const Text = z
  .object({
    name: z.string(),
    text: z.string().optional(),
    hex: hex.optional(),
    fill: z.int().default(1),
    fillWith: z.string().default('x'),
  })
  .transform((vector) => ({ ...vector, bytes: vector.hex ?? Buffer.from(filled(vector)) }));
const Output = z.strictObject({
  name: z.string(),
  stream: z.enum(['stdout', 'stderr']),
  hex,
  accept: Accept,
  messages: z.array(hex),
});

export const authVectors = load('auth', z.object({ cases: z.array(Auth) })).cases;
export const messageVectors = load(
  'messages',
  z.object({ valid: z.array(Text), refused: z.array(Text.and(z.object({ failure: z.enum(FAILURE_CODES) }))) }),
);
export const outputVectors = load('output', z.object({ cases: z.array(Output) })).cases;
export const recordVectors = load(
  'records',
  z.object({
    valid: z.array(z.object({ name: z.string(), hex, message: z.looseObject({ type: z.string() }) })),
    malformed: z.array(z.object({ name: z.string(), hex })),
  }),
);

function load<T>(name: string, schema: z.ZodType<T>): T {
  return schema.parse(JSON.parse(readFileSync(new URL(`../../protocol/vectors/${name}.json`, import.meta.url), 'utf8')));
}

function filled(vector: { text?: string | undefined; fill: number; fillWith: string }): string {
  return (vector.text ?? '').replaceAll('@', vector.fillWith.repeat(vector.fill));
}
