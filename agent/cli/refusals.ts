/** `runs refused`, and what `runs list` says of it where it finds nothing. */
import { z } from 'zod';
import type { Config } from '../config/config.ts';
import { Refusal } from '../journal/refusals.ts';
import { callRunner } from '../wire/runner-api.ts';
import { runQuery, type ListOptions } from './run-query.ts';
import { formatTable, printJsonLines } from './terminal.ts';

/** How far back who finds no run is told to look. */
const LATELY = '24h';
/** More are not counted. */
const COUNTED = 1000;

/** Times as people read them. */
const Refused = z.object({ refused: z.array(Refusal.extend({ at: z.string() })) });

export type RefusedOptions = Omit<ListOptions, 'outcome'> & { code?: string };

export async function listRefused(config: Config, { json, ...filter }: RefusedOptions): Promise<void> {
  const refused = await ask(config, filter);
  if (json === true) {
    printJsonLines(refused);
    return;
  }
  const rows = refused.map(({ at, key, script, event, ticket, code, reason }) => [
    ...[at.replace('T', ' ').replace(/\.\d+Z$/, 'Z'), key, script, event, ticket, code, reason],
  ]);
  process.stdout.write(formatTable(['REFUSED', 'KEY', 'SCRIPT', 'EVENT', 'TICKET', 'CODE', 'REASON'], rows));
}

/** On stderr: calls of which there is no run, because they were refused. */
export async function hintAtRefused(config: Config, { ticket, script, event, key }: ListOptions): Promise<void> {
  const wanted = Object.entries({ ticket, script, event, key }).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as const],
  );
  const filter = { ...Object.fromEntries(wanted), since: LATELY };
  const count = (await ask(config, { ...filter, limit: String(COUNTED) })).length;
  if (count === 0) return;
  const options = Object.entries(filter).map(([name, value]) => `--${name} ${quoted(value)}`);
  const calls = count === COUNTED ? `${count} or more calls were` : count === 1 ? '1 call was' : `${count} calls were`;
  process.stderr.write(
    `mediator-agent: there is no such run, but ${calls} refused in the last ${LATELY} that may be what you look for: mediator-agent runs refused ${options.join(' ')}\n`,
  );
}

async function ask(config: Config, filter: Omit<RefusedOptions, 'json'>): Promise<z.output<typeof Refused>['refused']> {
  return Refused.parse(await callRunner(config.socket, 'GET', `/v1/refused?${runQuery(filter).toString()}`)).refused;
}

/** As a shell takes it. */
function quoted(text: string): string {
  return /^[\w./:@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
