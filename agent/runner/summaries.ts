/** Runs and tasks as listings show them. */
import { checkTrust } from '../catalog/trust.ts';
import type { JournalRow } from '../journal/row.ts';
import { isOrderKnown } from '../keeper/order-file.ts';
import { readTasks } from '../tasks/folder.ts';
import { actionOf } from '../tasks/task.ts';

/** A run in listings. Times are ISO 8601, durations milliseconds, sizes bytes; null where there is none yet. */
export interface RunSummary {
  id: string;
  script: string;
  host: string;
  event: string;
  ticket: string;
  /** Of the ticket, as far as they are known. */
  subject: string;
  requester: string;
  stage: string;
  outcome: string | null;
  code: number | null;
  accepted: string;
  started: string | null;
  ended: string | null;
  duration_ms: number | null;
  stdin: number;
  stdout: number;
  stderr: number;
  key: string;
  message: string;
}

/** A task in listings; without its shared secret. */
export interface TaskSummary {
  name: string;
  file: string;
  trigger: string;
  action: string;
  enabled: boolean;
  /** Why it cannot be used; empty if it can. */
  problem: string;
  description: string;
  tags: string[];
  'fail-open': boolean;
  'custom-data': Record<string, unknown>;
}

export function summarize(row: JournalRow): RunSummary {
  const { id, script, host, event, ticket, subject, requester, stage, outcome, code, stdin, stdout, stderr, key, message } = row;
  return {
    id,
    script,
    host,
    event,
    ticket,
    subject,
    requester,
    stage,
    outcome,
    code,
    accepted: time(row.accepted) ?? '',
    started: time(row.started),
    ended: time(row.ended),
    duration_ms: row.ended === null ? null : row.ended - (row.started ?? row.accepted),
    stdin,
    stdout,
    stderr,
    key,
    message,
  };
}

/**
 * Everything that is known of a run.
 * @param folder of the run in the spool
 * @param mask takes secrets out of what the caller sent
 */
export function describeRun(row: JournalRow, folder: string, mask: (text: string) => string): RunSummary & Record<string, unknown> {
  const args = row.args.map(mask);
  const env = Object.fromEntries(Object.entries(row.env).map(([name, value]) => [name, mask(value)]));
  const { address, sha256, manifest_sha256, timeout_ms, rerun_of, pid, seq, link } = row;
  const { stdin_sha256, stdout_sha256, stderr_sha256, order_sha256 } = row;
  const isKept = row.outcome !== null && row.removed === null;
  const order = isKept ? (isOrderKnown(folder, row) ? 'known' : 'not known') : null;
  const moments = { acknowledged: time(row.acknowledged), removed: time(row.removed) };
  const digests = { stdin_sha256, stdout_sha256, stderr_sha256, order, order_sha256, seq, link };
  return { ...summarize(row), args, env, address, sha256, manifest_sha256, timeout_ms, rerun_of, pid, ...moments, ...digests };
}

export function listTasks(root: string): TaskSummary[] {
  const entries = readTasks(root, checkTrust);
  return entries.map(({ file, task, problem }) => {
    if (task === undefined) return { ...NO_TASK, file, problem };
    const { name, trigger, enabled, description, tags, 'fail-open': failOpen, 'custom-data': customData } = task;
    return {
      name,
      file,
      trigger,
      action: actionOf(task),
      enabled,
      problem,
      description,
      tags,
      'fail-open': failOpen,
      'custom-data': customData,
    };
  });
}

const NO_TASK = { name: '', trigger: '', action: '', enabled: false, description: '', tags: [], 'fail-open': true, 'custom-data': {} };

export function time(milliseconds: number | null): string | null {
  return milliseconds === null ? null : new Date(milliseconds).toISOString();
}
