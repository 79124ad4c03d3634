/** A row of the journal: one run. */
import { z } from 'zod';
import { HOSTS } from '../../protocol/messages.ts';
import { OUTCOME_NAMES, type Outcome } from '../../protocol/outcomes.ts';

export const Row = z.object({
  id: z.string(),
  token: z.string(),
  key: z.string(),
  address: z.string(),
  script: z.string(),
  sha256: z.string(),
  manifest_sha256: z.string().nullable(),
  host: z.enum(HOSTS),
  event: z.string(),
  ticket: z.string(),
  args: z.string().transform((text) => z.array(z.string()).parse(JSON.parse(text))),
  env: z.string().transform((text) => z.record(z.string(), z.string()).parse(JSON.parse(text))),
  timeout_ms: z.number(),
  stdin: z.number(),
  stdin_sha256: z.string(),
  rerun_of: z.string().nullable(),
  accepted: z.number(),
  started: z.number().nullable(),
  ended: z.number().nullable(),
  pid: z.number().nullable(),
  boot: z.string().nullable(),
  outcome: z.enum(OUTCOME_NAMES).nullable(),
  code: z.number().nullable(),
  stdout: z.number(),
  stdout_sha256: z.string(),
  stderr: z.number(),
  stderr_sha256: z.string(),
  order_sha256: z.string().nullable(),
  message: z.string(),
  acknowledged: z.number().nullable(),
  seq: z.number().nullable(),
  link: z.string().nullable(),
  removed: z.number().nullable(),
  subject: z.string(),
  requester: z.string(),
  stage: z.string(),
  identity: z.string(),
  reply: z
    .instanceof(Uint8Array)
    .transform((bytes) => Buffer.from(bytes))
    .nullable(),
});

/** One run as the journal knows it. Times are milliseconds since the epoch, sizes bytes, digests SHA-256 in hex. */
export type JournalRow = z.output<typeof Row>;

/** What is known when a run is accepted. */
export type NewRow = Omit<JournalRow, keyof Settlement | 'started' | 'pid' | 'boot' | 'acknowledged' | 'seq' | 'link' | 'removed'>;

export interface Settlement {
  outcome: Outcome;
  code: number;
  stdout: number;
  stdout_sha256: string;
  stderr: number;
  stderr_sha256: string;
  /** Null if the keeper was one of before. */
  order_sha256: string | null;
  message: string;
  /** What callers get as stdout instead of the script's own; null for the script's own. */
  reply: Buffer | null;
  ended: number;
}
