/** After a crash: ends honestly what an earlier process left open. Its processes are ended, its outcome is `lost`, its output is kept. */
import { readFileSync } from 'node:fs';
import { exitCodeOf } from '../../protocol/failures.ts';
import { EXIT_UNKNOWN } from '../../protocol/outcomes.ts';
import type { Journal } from '../journal/journal.ts';
import type { JournalRow, Settlement } from '../journal/row.ts';
import type { Logger } from '../log.ts';
import { endTree, isMarked } from '../process/tree.ts';
import { totalsOf } from './digest.ts';
import type { RunnerMetrics } from './metrics.ts';
import { markOf } from './plan.ts';
import type { Spool } from './spool.ts';

let boot: string | undefined;

/** Names this boot of the machine: process ids of another one mean nothing. Not read by the front, whose sandbox has no /proc/sys. */
export function bootId(): string {
  return (boot ??= readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim());
}

/** @param grace milliseconds between TERM and KILL */
export async function recover(
  parts: { journal: Journal; spool: Spool; log: Logger; metrics: RunnerMetrics },
  grace: number,
): Promise<void> {
  await Promise.all(
    parts.journal.open().map(async (row) => {
      const survivors = await endTree({ pid: firstProcessOf(row), mark: markOf(row.id) }, grace);
      const settlement = await settlementOf(row, parts.spool);
      parts.journal.settle(row.id, settlement);
      parts.metrics.recovered(row.script, settlement.outcome, settlement.code);
      parts.log.warn({ run: row.id, script: row.script, outcome: settlement.outcome, survivors }, 'run recovered after a crash');
    }),
  );
}

/** The run's first process, if it is certain that the id is still its own: ids are given anew. */
function firstProcessOf({ id, pid, boot: started }: JournalRow): number | undefined {
  return pid !== null && started === bootId() && isMarked(pid, markOf(id)) ? pid : undefined;
}

async function settlementOf(row: JournalRow, spool: Spool): Promise<Settlement> {
  const rest = {
    ...totalsOf(await spool.measure(row.id, 'stdout'), await spool.measure(row.id, 'stderr')),
    ended: Date.now(),
    reply: null,
  };
  return row.started === null && rest.stdout + rest.stderr === 0
    ? {
        outcome: 'refused',
        code: exitCodeOf('draining'),
        message: 'the agent went away before the script was started; call again',
        ...rest,
      }
    : { outcome: 'lost', code: EXIT_UNKNOWN, message: 'the agent went away while the script ran; how far it came is not known', ...rest };
}
