/** `keys list`. */
import { z } from 'zod';
import { Failure } from '../../protocol/failures.ts';
import type { Config } from '../config/config.ts';
import type { Key } from '../config/keys.ts';
import { callRunner } from '../wire/runner-api.ts';
import { readKeys } from './configuration.ts';
import { formatTable, printJsonLines } from './terminal.ts';

const Uses = z.object({
  keys: z.array(z.object({ key: z.string(), at: z.number(), address: z.string(), previous_at: z.number().nullable() })),
});
type Use = z.output<typeof Uses>['keys'][number];

/** Never with a secret. */
export async function listKeys(config: Config, { json }: { json?: boolean }): Promise<void> {
  const keys = readKeys(config);
  const uses = await usesOf(config);
  const now = Date.now();
  const views = keys.map((key) => viewOf(key, uses?.get(key.id), now));
  if (json === true) {
    printJsonLines(views);
    return;
  }
  const rows = views.map((view) => [
    view.id,
    view.state,
    view.scripts.join(' '),
    restrictionsOf(view),
    view.expires ?? 'never',
    uses === undefined ? '?' : (view.last_used ?? 'never'),
    view.last_address ?? '',
    previousOf(view),
  ]);
  process.stdout.write(formatTable(['KEY', 'STATE', 'SCRIPTS', 'ONLY', 'EXPIRES', 'LAST USED', 'FROM', 'REPLACED SECRET'], rows));
}

type View = ReturnType<typeof viewOf>;

function viewOf(key: Key, use: Use | undefined, now: number) {
  const { id, description = '', scripts, networks = [], hosts = [], events = [], expires, previous = [] } = key;
  const replaced = previous.filter((old) => now < old.expires).map((old) => old.expires);
  return {
    id,
    description,
    state: expires !== undefined && now >= expires ? 'expired' : replaced.length > 0 ? 'rotating' : 'active',
    scripts,
    networks,
    hosts,
    events,
    expires: iso(expires),
    last_used: iso(use?.at),
    last_address: use?.address ?? null,
    previous_until: iso(replaced.length > 0 ? Math.max(...replaced) : undefined),
    previous_last_used: iso(use?.previous_at ?? undefined),
  };
}

function restrictionsOf({ networks, hosts, events }: View): string {
  return [...networks, ...hosts, ...events].join(' ');
}

function previousOf({ previous_until: until, previous_last_used: used }: View): string {
  return until === null ? '' : `until ${until}, last used ${used ?? 'never since'}`;
}

function iso(milliseconds: number | undefined): string | null {
  return milliseconds === undefined ? null : new Date(milliseconds).toISOString().replace(/\.\d+Z$/, 'Z');
}

/** Undefined if no runner answers: the keys are shown all the same. */
async function usesOf(config: Config): Promise<Map<string, Use> | undefined> {
  try {
    const { keys } = Uses.parse(await callRunner(config.socket, 'GET', '/v1/keys'));
    return new Map(keys.map((use) => [use.key, use]));
  } catch (error) {
    process.stderr.write(`mediator-agent: when keys were used is not known: ${Failure.from(error).message}\n`);
    return undefined;
  }
}
