/** Retries: is this the same event again? */
import type { Invocation } from './invocation.ts';
import type { LedgerParts } from './ledger.ts';
import type { RunView } from './view.ts';

/**
 * The run of the same event, if it goes on or has succeeded: the invocation reads it, and nothing is started.
 * @param identity of the event; empty if it has none
 */
export function earlierRun(
  { journal, registry, log, metrics }: Pick<LedgerParts, 'journal' | 'registry' | 'log' | 'metrics'>,
  identity: string,
  { token, key }: Pick<Invocation, 'token' | 'key'>,
): RunView | undefined {
  if (identity === '') return undefined; // the Test button, for instance: every call is a run of its own
  const row = journal.latestOf(identity);
  if (row === undefined || (row.outcome !== null && (row.outcome !== 'exited' || row.code !== 0))) return undefined;
  const live = registry.liveById(row.id);
  journal.attach(token, row.id, key, Date.now());
  metrics.joined(row.script);
  if (live !== undefined) registry.attach(live, token);
  log.info(
    { run: row.id, script: row.script, ticket: row.ticket, event: row.event, live: live !== undefined },
    'the same event again: no new run',
  );
  return live ?? registry.forNewCaller(row);
}
