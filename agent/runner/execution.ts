/** A run from its slot to its end, which the keeper carries out. */
import { existsSync, mkdirSync } from 'node:fs';
import { EXIT_UNKNOWN } from '../../protocol/outcomes.ts';
import { Failure, exitCodeOf } from '../../protocol/failures.ts';
import { ScriptStart } from '../catalog/script-start.ts';
import type { Ended, StartOrder } from '../keeper/messages.ts';
import { crashPoint } from '../process/crash-point.ts';
import { endTree, type Tree } from '../process/tree.ts';
import type { Ending } from './conclusion.ts';
import type { KeeperLink } from './keeper-link.ts';
import type { Plan } from './plan.ts';
import type { Run } from './run.ts';
import type { Spool, Stdin } from './spool.ts';

export interface ExecutionParts {
  keeper: KeeperLink;
  spool: Spool;
}

/** @param onStarted is told the process id as soon as there is one */
export async function execute(
  run: Run,
  plan: Plan & { args: string[]; memo: string },
  stdin: Stdin,
  { keeper, spool }: ExecutionParts,
  onStarted: (pid: number) => void,
): Promise<Ending> {
  let pid: number | undefined;
  const start = new ScriptStart(plan.script, plan.settle);
  try {
    if (!existsSync(plan.state)) mkdirSync(plan.state, { recursive: true, mode: 0o700 });
    obey(run, keeper);
    const ended = await keeper.start(startOrder(run, plan, stdin, spool), {
      onStarted: (started) => {
        start.begun();
        onStarted((pid = started));
      },
      onOutput: (lengths) => {
        crashPoint('output-heard');
        run.grew(lengths);
      },
    });
    const ending = await endingOf(run, ended, { tree: { pid, mark: plan.mark }, grace: plan.grace }, { keeper, spool });
    return start.overwritten() ? doubted(ending) : ending;
  } catch (error) {
    const { code, message } = Failure.from(error);
    return { outcome: 'refused', code: exitCodeOf(code), message, survivors: [] };
  }
}

/** From now on the keeper ends the run when it is told to end. */
export function obey(run: Run, keeper: KeeperLink): void {
  run.obeyWith((order) => {
    keeper.end(run.id, order);
  });
}

/** Without a keeper nobody knows how the script ended, or will. What is left of it is ended: by the next keeper, if it has a control group, and by us. */
export async function endingOf(
  run: Run,
  ended: Ended | undefined,
  { tree, grace }: { tree: Tree; grace: number },
  { keeper, spool }: ExecutionParts,
): Promise<Ending> {
  if (ended !== undefined) {
    const { totals, ...ending } = ended;
    run.complete(totals);
    return ending;
  }
  await keeper.open().catch(() => undefined);
  const survivors = await endTree(tree, grace);
  run.complete(await spool.measure(run.id));
  const message = 'the process that kept the script went away, and the script was ended; how far it came is not known';
  return { outcome: 'lost', code: EXIT_UNKNOWN, message, survivors };
}

/** The ending of a script that was written to as it was started: what ran may have been half of it. */
function doubted(ending: Ending): Ending {
  if (ending.outcome !== 'exited') return ending;
  const message =
    'the script was written to as it was started, so that half of it may have run; look at what it did before it is called again';
  return { ...ending, outcome: 'lost', code: EXIT_UNKNOWN, message };
}

function startOrder(
  run: Run,
  plan: Plan & { args: string[]; memo: string },
  { file, size }: Stdin,
  spool: Spool,
): Omit<StartOrder, 'type'> {
  const secrets = Object.keys(plan.secrets);
  const { program, args, cwd, env, mark, timeout, grace, outputLimit, limits, memo } = plan;
  const what = { run: run.id, folder: spool.folder(run.id), program, args, cwd, env, secrets, mark, memo };
  return { ...what, timeout, grace, outputLimit, limits, stdin: file === undefined || size === 0 ? null : { file, size } };
}
