/**
 * After a crash: goes on with what the keeper has kept, and ends honestly what else was left open. Its processes are ended, its outcome is `lost`,
 * its output is kept.
 */
import { readFileSync } from 'node:fs';
import { exitCodeOf } from '../../protocol/failures.ts';
import { EXIT_UNKNOWN } from '../../protocol/outcomes.ts';
import type { Journal } from '../journal/journal.ts';
import type { JournalRow, Settlement } from '../journal/row.ts';
import { totalsOf } from '../keeper/digest.ts';
import { readEnding } from '../keeper/ending-file.ts';
import type { Kept } from '../keeper/messages.ts';
import type { Logger } from '../log.ts';
import { crashPoint } from '../process/crash-point.ts';
import { endTree, isMarked, type Tree } from '../process/tree.ts';
import type { KeeperLink } from './keeper-link.ts';
import type { RunnerMetrics } from './metrics.ts';
import { markOf } from './plan.ts';
import type { Spool } from './spool.ts';

let boot: string | undefined;

/** Names this boot of the machine: process ids of another one mean nothing. Not read by the front, whose sandbox has no /proc/sys. */
export function bootId(): string {
  return (boot ??= readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim());
}

export interface RecoveryParts {
  journal: Journal;
  spool: Spool;
  log: Logger;
  metrics: RunnerMetrics;
  keeper: KeeperLink;
  /** Goes on with a run that was kept. */
  adopt: (row: JournalRow, kept: Kept) => void;
}

/** @param grace milliseconds between TERM and KILL */
export async function recover({ journal, spool, log, metrics, keeper, adopt }: RecoveryParts, grace: number): Promise<void> {
  const kept = new Map((await keeper.open()).map((run) => [run.run, run]));
  crashPoint('kept-heard');
  await Promise.all(
    journal.open().map(async (row) => {
      const found = kept.get(row.id) ?? readEnding(spool.folder(row.id), row.id);
      if (found !== undefined && adopts(adopt, row, found)) return;
      const survivors = await endTree(treeOf(row), grace);
      const settlement = await settlementOf(row, spool);
      journal.settle(row.id, settlement);
      metrics.recovered(row.script, settlement.outcome, settlement.code);
      log.warn({ run: row.id, script: row.script, outcome: settlement.outcome, survivors }, 'run recovered after a crash');
    }),
  );
  for (const run of kept.keys()) if (journal.byId(run)?.outcome !== null) letGo(keeper, run);
}

/** Not where the memo is that of another version. */
function adopts(adopt: RecoveryParts['adopt'], row: JournalRow, kept: Kept): boolean {
  try {
    adopt(row, kept);
    crashPoint('adopted');
    return true;
  } catch {
    return false;
  }
}

function letGo(keeper: KeeperLink, run: string): void {
  keeper.end(run, { outcome: 'cancelled', message: 'its run has ended already' });
  keeper.settled(run);
}

/** What is known of a run's processes. The first one counts only if it is certain that the id is still its own: ids are given anew. */
export function treeOf({ id, pid, boot: started }: JournalRow): Tree {
  const mark = markOf(id);
  return { pid: pid !== null && started === bootId() && isMarked(pid, mark) ? pid : undefined, mark };
}

async function settlementOf(row: JournalRow, spool: Spool): Promise<Settlement> {
  const rest = {
    ...totalsOf(await spool.measure(row.id)),
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
