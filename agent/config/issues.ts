/** What a schema finds wrong, in the words of somebody who writes YAML: what stands there, and what may. */
import { z } from 'zod';

const EXPECTED: Record<string, string> = {
  string: 'a text; put it in quotes',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list, for instance [a, b]',
  object: 'fields of its own, each with a colon',
  record: 'fields of its own, each with a colon',
};

/** For faults that the schema itself has no words for. */
export function describeIssue(issue: z.core.$ZodRawIssue): string | undefined {
  const { code, input } = issue;
  if (code === 'invalid_type') {
    const said = input === undefined ? 'is missing; it' : `is ${describe(input)}, and`;
    return `${said} must be ${EXPECTED[issue.expected] ?? issue.expected}`;
  }
  if (code === 'invalid_value')
    return `is ${describe(input)}, and must be ${issue.values.length === 1 ? '' : 'one of '}${issue.values.map(String).join(', ')}`;
  if (code === 'too_small') return issue.origin === 'string' ? 'is empty' : `must be ${issue.minimum} or more`;
  if (code === 'too_big') return `must be ${issue.maximum} or less${issue.origin === 'string' ? ' characters' : ''}`;
  return undefined;
}

/** A message for what a schema refuses, with the text that stands there. Not for secrets. */
export function quoting(message: string, remedy: string): (issue: { input?: unknown }) => string {
  return ({ input }) => `${message}: ${describe(input)}; ${remedy}`;
}

function describe(input: unknown): string {
  if (Array.isArray(input)) return 'a list';
  if (input === null) return 'empty';
  return typeof input === 'object' ? 'a group of fields' : JSON.stringify(input);
}

/** Every unknown field is a fault of its own, and says what is known there. */
export function spell(issue: z.core.$ZodIssue, schema: z.ZodType): { path: PropertyKey[]; message: string }[] {
  if (issue.code !== 'unrecognized_keys') return [issue];
  const known = fieldsAt(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }), issue.path);
  const hint = known.length === 0 ? '' : `; known here: ${known.join(', ')}`;
  return issue.keys.map((key) => ({ path: [...issue.path, key], message: `is not a known field${hint}` }));
}

const Level = z.looseObject({
  properties: z.record(z.string(), z.unknown()).default({}),
  items: z.unknown().optional(),
  additionalProperties: z.unknown().optional(),
});

function fieldsAt(schema: unknown, [step, ...rest]: PropertyKey[]): string[] {
  const level = Level.safeParse(schema);
  if (!level.success) return [];
  const { properties, items, additionalProperties } = level.data;
  if (step === undefined) return Object.keys(properties);
  return fieldsAt(typeof step === 'number' ? items : (properties[String(step)] ?? additionalProperties), rest);
}
