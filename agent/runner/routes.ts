/** The runner's HTTP API on its Unix socket: JSON in, JSON out. Whoever may open the socket may use it. */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { z } from 'zod';
import { FAILURE_CODES, Failure, statusOf } from '../../protocol/failures.ts';
import { OUTCOME_NAMES } from '../../protocol/outcomes.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { spell } from '../config/issues.ts';
import { version } from '../config/version.ts';
import type { Journal } from '../journal/journal.ts';
import type { JournalRow } from '../journal/row.ts';
import { history } from './history.ts';
import type { Runner } from './runner.ts';
import { describeScript } from './script-summary.ts';
import { describeRun, listTasks, summarize, time } from './summaries.ts';

const Filter = z.strictObject({
  ticket: z.string().optional(),
  script: z.string().optional(),
  event: z.string().optional(),
  outcome: z.enum(OUTCOME_NAMES).optional(),
  key: z.string().optional(),
  /** Milliseconds since the epoch. */
  since: z.coerce.number().int().nonnegative().optional(),
  until: z.coerce.number().int().nonnegative().optional(),
  before: z.string().optional(),
  /** Everything that is known of each run. */
  details: z.literal('true').optional(),
  limit: z.coerce.number().int().min(1).max(10_000).default(100),
});

const RefusalFilter = Filter.pick({ ticket: true, script: true, event: true, key: true, since: true, until: true, limit: true }).extend({
  code: z.enum(FAILURE_CODES).optional(),
});

/** Up to 90 days. */
const Span = z.strictObject({ hours: z.coerce.number().int().min(1).max(2160).default(24) });

/** The name of a script follows, which may have slashes of its own. */
const SCRIPT = '/v1/scripts/';

export interface RouteParts {
  runner: Runner;
  catalog: Catalog;
  journal: Journal;
}

/** Answers one request. Never throws: a failure becomes its status and `{"error":{"code","message"}}`. */
export async function answer(request: IncomingMessage, response: ServerResponse, { runner, catalog, journal }: RouteParts): Promise<void> {
  try {
    if (request.url === '/metrics') {
      response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(runner.metrics.all.render());
      return;
    }
    reply(response, 200, await route(request, { runner, catalog, journal }));
  } catch (error) {
    const { code, message } = Failure.from(error);
    const status = code === 'unknown-run' || code === 'no-such-script' || code === 'not-found' ? 404 : statusOf(code);
    reply(response, code === 'internal' ? 500 : status, { error: { code, message } });
  }
}

async function route(request: IncomingMessage, { runner, catalog, journal }: RouteParts): Promise<unknown> {
  const url = new URL(request.url ?? '/', 'http://runner');
  const [, api, collection, name, action] = url.pathname.split('/').map(decodeSegment);
  const named = name === undefined ? [] : [':name'];
  const target = [request.method, api, collection, ...named, action].filter((part) => part !== undefined).join(' ');
  if (request.method === 'GET' && url.pathname.startsWith(SCRIPT)) {
    return describeScript(catalog.find(decodeSegment(url.pathname.slice(SCRIPT.length))), catalog);
  }
  switch (target) {
    case 'GET healthz':
      return { status: 'ok', version: version(), ...runner.status };
    case 'GET readyz':
      if (runner.status.draining) throw new Failure('draining', 'the agent is about to stop and takes no new runs');
      catalog.checkFolder();
      return { status: 'ready' };
    case 'GET v1 runs':
      return { runs: await listed(runner, parse(Filter, url)) };
    case 'GET v1 runs :name':
      return (await describe(runner, [runner.row(name ?? '')]))[0];
    case 'POST v1 runs :name cancel':
      runner.cancel(name ?? '', 'an operator');
      return {};
    case 'POST v1 runs :name rerun':
      return { id: (await runner.rerun(name ?? '', randomBytes(16).toString('hex'))).id };
    case 'GET v1 refused':
      return { refused: journal.refusals.list(parse(RefusalFilter, url)).map(({ at, ...refusal }) => ({ at: time(at), ...refusal })) };
    case 'GET v1 keys':
      return { keys: runner.keyUses() };
    case 'GET v1 history':
      return { buckets: await history((from, to) => journal.tally(from, to), parse(Span, url).hours, Date.now()) };
    case 'GET v1 tasks':
      return { tasks: listTasks(catalog.root) };
    case 'GET v1 scripts':
      return { scripts: await Promise.all(catalog.names().map((script) => describeScript(script, catalog))) };
    default:
      throw new Failure('not-found', `nothing is served at ${request.method ?? ''} ${url.pathname}`);
  }
}

async function listed(runner: Runner, { details, ...filter }: z.output<typeof Filter>): Promise<unknown[]> {
  const rows = await runner.list(filter);
  return details === undefined ? rows.map((row) => summarize(runner.withSizes(row))) : describe(runner, rows);
}

async function describe(runner: Runner, rows: JournalRow[]): Promise<unknown[]> {
  const scripts = [...new Set(rows.map(({ script }) => script))];
  const masks = new Map(await Promise.all(scripts.map(async (script) => [script, await runner.maskOf(script)] as const)));
  return rows.map((row) => describeRun(runner.withSizes(row), runner.folder(row.id), masks.get(row.script) ?? String));
}

function decodeSegment(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw new Failure('bad-request', 'the path of the request is not percent-encoded UTF-8', { cause });
  }
}

function parse<S extends z.ZodType>(schema: S, url: URL): z.output<S> {
  const parsed = schema.safeParse(Object.fromEntries(url.searchParams));
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.flatMap((issue) => spell(issue, schema));
  throw new Failure('bad-request', issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; '));
}

function reply(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`);
}
