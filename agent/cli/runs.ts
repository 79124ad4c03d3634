/** `runs list`, `export`, `show`, `logs`, `cancel`, `rerun`. */
import { once } from 'node:events';
import { z } from 'zod';
import { encodeStubMessage } from '../../protocol/messages.ts';
import type { Config } from '../config/config.ts';
import { dialRunner } from '../wire/dial.ts';
import { callRunner } from '../wire/runner-api.ts';
import { ACCEPT, concludeWith, follow } from './follow.ts';
import { hintAtRefused } from './refusals.ts';
import { runQuery, type ListOptions } from './run-query.ts';
import { UsageError, formatTable, printFacts, printJsonLines } from './terminal.ts';

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

export async function listRuns(config: Config, { json, ...filter }: ListOptions): Promise<void> {
  const query = runQuery(filter).toString();
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
  if (runs.length === 0 && filter.outcome === undefined) await hintAtRefused(config, filter);
}

/** Everything that is known of the runs, one JSON object a line, newest first; however many there are. */
export async function exportRuns(config: Config, filter: Omit<ListOptions, 'json' | 'limit'>): Promise<void> {
  const query = runQuery(filter);
  query.set('details', 'true');
  query.set('limit', String(PAGE));
  for (;;) {
    const { runs } = Exported.parse(await callRunner(config.socket, 'GET', `/v1/runs?${query.toString()}`));
    printJsonLines(runs);
    if (process.stdout.writableNeedDrain) await once(process.stdout, 'drain');
    const last = runs.at(-1);
    if (runs.length < PAGE || last === undefined) return;
    query.set('before', last.id);
  }
}

/** Runs that an export asks for at a time: some hundred kilobytes. */
const PAGE = 500;
const Exported = z.object({ runs: z.array(z.looseObject({ id: z.string() })) });

export async function showRun(config: Config, id: string, { json }: { json?: boolean }): Promise<void> {
  const run = z.record(z.string(), z.unknown()).parse(await callRunner(config.socket, 'GET', `/v1/runs/${encodeURIComponent(id)}`));
  if (json === true) printJsonLines([run]);
  else printFacts(run);
}

/** Of a run from before the order was noted, or whose note was lost. */
const Known = z.object({ outcome: z.string().nullable(), order: z.string().nullable() });
const UNORDERED = 'in which order this run printed to stdout and stderr is not known; stdout comes first';

export interface LogOptions {
  follow?: boolean;
  stdout?: boolean;
  stderr?: boolean;
  json?: boolean;
}

/** Prints a run's output; the exit code is 125 if some of it is lost. With `follow`, until it ends; the exit code is then the run's own. */
export async function logs(config: Config, run: string, options: LogOptions): Promise<number> {
  if (options.stdout === true && options.stderr === true) throw new UsageError('give --stdout or --stderr; without either, both come');
  const only = options.stdout === true ? 'stdout' : options.stderr === true ? 'stderr' : undefined;
  const known = async () => Known.parse(await callRunner(config.socket, 'GET', `/v1/runs/${encodeURIComponent(run)}`));
  const past = await known();
  const connection = await dialRunner(config.socket);
  const end = follow(connection, { only, json: options.json });
  if (past.order === 'not known' && only === undefined) process.stderr.write(`mediator-agent: ${UNORDERED}\n`);
  connection.send(encodeStubMessage({ type: 'read', run, stdout: 0, stderr: 0, accept: ACCEPT }));
  if (options.follow === true) return concludeWith(await end);
  if (past.outcome === null) process.stderr.write(`mediator-agent: run ${run} goes on; this waits for its end\n`);
  const terminal = await end;
  const isRefused = terminal.outcome === 'refused' && (await known()).outcome !== 'refused'; // not the run was, but our reading of it
  return isRefused ? concludeWith(terminal) : 0;
}

export async function cancelRun(config: Config, id: string, { json }: { json?: boolean }): Promise<void> {
  await callRunner(config.socket, 'POST', `/v1/runs/${encodeURIComponent(id)}/cancel`);
  if (json === true) printJsonLines([{ id, change: 'cancelled' }]);
  else process.stderr.write(`mediator-agent: run ${id} is being ended\n`);
}

/** Begins a new run with the same input and follows it. Resolves with its exit code. */
export async function rerun(config: Config, id: string, { json }: { json?: boolean }): Promise<number> {
  const started = z.object({ id: z.string() }).parse(await callRunner(config.socket, 'POST', `/v1/runs/${encodeURIComponent(id)}/rerun`));
  if (json === true) printJsonLines([{ id: started.id, rerun_of: id }]);
  else process.stderr.write(`mediator-agent: run ${started.id}\n`);
  return logs(config, started.id, { follow: true, json: json === true });
}
