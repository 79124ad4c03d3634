/** A script from its start to its end: copy its output to the spool, and end it by exit, timeout, order or too much output. */
import { Failure, exitCodeOf } from '../../protocol/failures.ts';
import { EXIT_CANCELLED, EXIT_TIMED_OUT, EXIT_UNKNOWN, outcomeOf, type ProcessExit } from '../../protocol/outcomes.ts';
import type { Stream } from '../../protocol/records.ts';
import type { Logger } from '../log.ts';
import { crashPoint } from '../process/crash-point.ts';
import type { Groups } from '../process/groups.ts';
import type { Pipes } from '../process/pipes.ts';
import { endTree, type Tree } from '../process/tree.ts';
import type { KeptRun } from './kept-run.ts';
import type { EndOrder, Ended, StartOrder } from './messages.ts';
import { start, type Started } from './start.ts';
import { OutputPipe, openStdio, type Stdio } from './stdio.ts';

/** After the script's exit, descendants that hold its pipes have this long to finish their output. */
const DRAIN = 500;

type Ending = Omit<Ended, 'totals'>;

/** What scripts are started with. */
export interface Means {
  pipes: Pipes;
  /** Undefined where a run cannot have a control group. */
  groups: Groups | undefined;
  log: Logger;
}

/** @param onStarted is told the process id as soon as there is one */
export async function execute(
  run: KeptRun,
  plan: StartOrder,
  { pipes, groups, log }: Means,
  onStarted: (pid: number) => void,
): Promise<Ending> {
  try {
    const stdio = await openStdio(pipes, plan.stdin);
    const process = await start(plan, stdio.child, groups, log).catch((error: unknown) => {
      stdio.abandon();
      throw error;
    });
    stdio.closeChildEnds();
    const ending = await attend(run, plan, process, stdio, onStarted).catch(async (error: unknown) => {
      const survivors = await endTree(process.tree, plan.grace);
      const message = `an error in the agent, and the script was ended: ${Failure.from(error).message}`;
      return { outcome: 'lost' as const, code: EXIT_UNKNOWN, message, survivors };
    });
    if (process.tree.group !== undefined) groups?.discard(process.tree.group);
    return ending;
  } catch (error) {
    const { code, message } = Failure.from(error);
    return { outcome: 'refused', code: exitCodeOf(code), message, survivors: [] };
  }
}

async function attend(run: KeptRun, plan: StartOrder, process: Started, stdio: Stdio, onStarted: (pid: number) => void): Promise<Ending> {
  onStarted(process.pid);
  const stopFeeding = stdio.feed();
  const output = collect(run, plan, stdio.outputs);
  const ending = await waitForEnd(run, plan, process);
  crashPoint('exit-seen');
  await settledWithin(DRAIN, Promise.all(output.pipes.map(({ ended }) => ended)));
  for (const pipe of output.pipes) pipe.settle();
  stopFeeding();
  // What the script printed last is often read after its exit: an output that is not whole is never a success.
  const lost = output.lost();
  return lost === undefined || ending.outcome === 'cancelled' || ending.outcome === 'timed-out' ? ending : end(plan, process, lost);
}

/** Copies the output to the spool. What cannot be kept ends the run. */
function collect(
  run: KeptRun,
  plan: StartOrder,
  descriptors: Record<Stream, number>,
): { pipes: OutputPipe[]; lost: () => EndOrder | undefined } {
  let lost: EndOrder | undefined;
  const lose = (message: string): void => {
    lost ??= { outcome: 'cancelled', message };
    run.end(lost);
  };
  const write = (stream: Stream) => (chunk: Buffer) => {
    if (lost !== undefined) return; // nothing may follow a hole, although the disk may have room again
    const room = plan.outputLimit - run.lengths.stdout - run.lengths.stderr;
    try {
      crashPoint('output-read');
      run.append(stream, chunk.subarray(0, Math.max(0, room)));
      crashPoint('output-kept');
    } catch (error) {
      lose(`its output could not be kept: ${Failure.from(error).message}`);
    }
    if (chunk.length > room) lose(`it printed more than its output-limit of ${plan.outputLimit} bytes`);
  };
  const pipes = [new OutputPipe(descriptors.stdout, write('stdout')), new OutputPipe(descriptors.stderr, write('stderr'))];
  return { pipes, lost: () => lost };
}

async function waitForEnd(run: KeptRun, plan: StartOrder, process: Started): Promise<Ending> {
  const timer = setTimeout(() => {
    run.end({ outcome: 'timed-out', message: `it ran longer than its ${plan.timeout / 1000} s` });
  }, plan.timeout);
  const ordered = new Promise<EndOrder>((resolve) => {
    run.obeyWith(resolve);
  });
  const first = await Promise.race([process.exit, ordered]);
  clearTimeout(timer);
  if (!('outcome' in first)) return { ...outcomeOf(first), message: signalMessage(first, process.tree), survivors: [] };
  return end(plan, process, first);
}

/** Ends the script with everything that it has started. */
async function end(plan: StartOrder, { tree }: Started, { outcome, message }: EndOrder): Promise<Ending> {
  const survivors = await endTree(tree, plan.grace);
  const code = outcome === 'timed-out' ? EXIT_TIMED_OUT : EXIT_CANCELLED;
  return { outcome, code, message: `the script was ended: ${message}`, survivors };
}

async function settledWithin(milliseconds: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<void>((resolve) => (timer = setTimeout(resolve, milliseconds)));
  await Promise.race([work, timeout]);
  clearTimeout(timer);
}

function signalMessage({ signal }: ProcessExit, { group }: Tree): string {
  if (signal === null) return '';
  return `the script was ended by signal ${signal}${group?.ranOutOfMemory === true ? ': it wanted more memory than limits.memory allows' : ''}`;
}
