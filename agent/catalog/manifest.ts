/** The manifest: `NAME.yaml` beside a script. Every field is optional; scripts/README.md explains each. */
import { hash } from 'node:crypto';
import { statSync } from 'node:fs';
import { z } from 'zod';
import { HOSTS } from '../../protocol/messages.ts';
import { Failure } from '../../protocol/failures.ts';
import { KINDS, KIND_NAMES } from '../config/kinds.ts';
import { Duration, Size } from '../config/units.ts';
import { readBelow } from '../config/scripts-folder.ts';
import { formatProblem, parseYaml } from '../config/yaml-file.ts';

/** Bytes. */
const MEMORY_LEAST = 1024 ** 2;

const variable = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'is not a variable name');

export const Manifest = z
  .strictObject({
    description: z.string().max(1000).optional(),
    host: z.enum(HOSTS).optional(),
    kind: z.enum(KIND_NAMES).optional(),
    timeout: Duration.refine((value) => value > 0, 'must be longer than 0').optional(),
    grace: Duration.optional(),
    interpreter: z.array(z.string().min(1)).min(1, 'needs at least the path of a program').optional(),
    cwd: z.string().min(1).optional(),
    env: z.record(variable, z.string('must be text; put it in quotes')).default({}),
    secrets: z.array(variable).default([]),
    concurrency: z.int().min(1).optional(),
    serialize: z.enum(['ticket']).optional(),
    'on-caller-loss': z.enum(['finish', 'kill']).default('finish'),
    'output-limit': Size.optional(),
    limits: z
      .strictObject({
        memory: Size.refine(
          (bytes) => bytes >= MEMORY_LEAST,
          `is less than ${MEMORY_LEAST / 1024 ** 2}MiB, in which hardly a shell starts`,
        ).optional(),
        processes: z.int().min(1).max(4_194_304).optional(),
        cpu: z.number('must be a number of processors, for instance 1.5').min(0.01).max(4096).optional(),
      })
      .default({}),
    events: z.array(z.string().min(1)).optional(),
    retries: z.enum(['attach', 'run']).optional(),
    'fail-open': z.boolean('must be true or false').optional(),
    payload: z.enum(['argument', 'file']).default('argument'),
    reply: z.enum(['last-json']).optional(),
  })
  .refine(({ kind, events }) => events === undefined || kind === undefined || KINDS[kind].answer === 'exit', {
    path: ['events'],
    error: 'cannot be with a kind whose answer is on stdout: an event without a run would have no answer; let the script answer it',
  });
export type Manifest = z.output<typeof Manifest>;

export interface ManifestFile {
  manifest: Manifest;
  /** Of the file; empty if there is none. */
  sha256: string;
}

const NONE: ManifestFile = { manifest: Manifest.parse({}), sha256: '' };

/**
 * The manifest in a file, or the one with all defaults if there is no such file.
 * @throws Failure `broken-manifest`, which names file, line and field of every fault
 */
export function readManifest(file: string): ManifestFile {
  const stats = statSync(file, { throwIfNoEntry: false });
  if (stats === undefined) return NONE;
  if (!stats.isFile()) throw new Failure('broken-manifest', `${file}: is not a file`);
  const bytes = readBytes(file);
  const parsed = parseYaml(file, bytes.toString(), Manifest);
  if (parsed.ok) return { manifest: parsed.value, sha256: hash('sha256', bytes) };
  throw new Failure('broken-manifest', parsed.problems.map(formatProblem).join('; '));
}

function readBytes(file: string): Buffer {
  try {
    return readBelow(file, file);
  } catch (cause) {
    throw new Failure('broken-manifest', Failure.from(cause).message, { cause });
  }
}
