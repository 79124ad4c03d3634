/** `runs list`, `show`, `logs`, `cancel`, `rerun`. */
import { z } from 'zod';
import { encodeStubMessage } from '../../protocol/messages.ts';
import type { Config } from '../config/config.ts';
import { dialRunner } from '../wire/dial.ts';
import { callRunner } from '../wire/runner-api.ts';
import { ACCEPT, concludeWith, follow } from './follow.ts';
import { formatTable, printJsonLines, printable } from './terminal.ts';

const Summary = z.object({
  id: z.string(),
  script: z.string(),
  host: z.string(),
  event: z.string(),
  ticket: z.string(),
  subject: z.string(),
  requester: z.string(),
  stage: z.string(),
  outcome: z.string().nullable(),
  code: z.number().nullable(),
  accepted: z.string(),
  started: z.string().nullable(),
  ended: z.string().nullable(),
  duration_ms: z.number().nullable(),
  stdin: z.number(),
  stdout: z.number(),
  stderr: z.number(),
  key: z.string(),
  message: z.string(),
});

export interface ListOptions {
  ticket?: string;
  script?: string;
  event?: string;
  outcome?: string;
  key?: string;
  limit?: string;
  json?: boolean;
}

export async function listRuns(config: Config, { json, ...filter }: ListOptions): Promise<void> {
  const query = new URLSearchParams(Object.entries(filter)).toString();
  const { runs } = z.object({ runs: z.array(Summary) }).parse(await callRunner(config.socket, 'GET', `/v1/runs?${query}`));
  if (json === true) {
    printJsonLines(runs);
    return;
  }
  const rows = runs.map((run) => [
    run.id,
    run.accepted.replace('T', ' ').replace(/\.\d+Z$/, 'Z'),
    run.script,
    run.event,
    run.ticket,
    run.outcome ?? (run.started === null ? 'queued' : 'running'),
    run.code === null ? '' : String(run.code),
    run.duration_ms === null ? '' : `${run.duration_ms} ms`,
  ]);
  process.stdout.write(formatTable(['RUN', 'ACCEPTED', 'SCRIPT', 'EVENT', 'TICKET', 'OUTCOME', 'CODE', 'TIME'], rows));
}

export async function showRun(config: Config, id: string, { json }: { json?: boolean }): Promise<void> {
  const run = z.record(z.string(), z.unknown()).parse(await callRunner(config.socket, 'GET', `/v1/runs/${encodeURIComponent(id)}`));
  if (json === true) {
    printJsonLines([run]);
    return;
  }
  const lines = Object.entries(run).map(
    ([name, value]) => `${`${name}:`.padEnd(14)} ${printable(typeof value === 'string' ? value : JSON.stringify(value))}\n`,
  );
  process.stdout.write(lines.join(''));
}

/** Prints a run's output. With `follow`, until it ends; the exit code is then the run's own. */
export async function logs(config: Config, run: string, options: { follow?: boolean }): Promise<number> {
  const past = Summary.parse(await callRunner(config.socket, 'GET', `/v1/runs/${encodeURIComponent(run)}`));
  const connection = await dialRunner(config.socket);
  const end = follow(connection);
  connection.send(encodeStubMessage({ type: 'read', run, stdout: 0, stderr: 0, accept: ACCEPT }));
  if (options.follow === true) return concludeWith(await end);
  if (past.outcome === null) process.stderr.write(`mediator-agent: run ${run} goes on; this waits for its end\n`);
  await end;
  return 0;
}

export async function cancelRun(config: Config, id: string): Promise<void> {
  await callRunner(config.socket, 'POST', `/v1/runs/${encodeURIComponent(id)}/cancel`);
}

/** Begins a new run with the same input and follows it. Resolves with its exit code. */
export async function rerun(config: Config, id: string): Promise<number> {
  const started = z.object({ id: z.string() }).parse(await callRunner(config.socket, 'POST', `/v1/runs/${encodeURIComponent(id)}/rerun`));
  process.stderr.write(`mediator-agent: run ${started.id}\n`);
  return logs(config, started.id, { follow: true });
}
