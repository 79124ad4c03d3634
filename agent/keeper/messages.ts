/**
 * What the runner and the keeper say to each other over the keeper's socket: a line of JSON each. Both ends are ours and belong to the same user.
 * An incompatible change takes another name for the socket: a runner that was upgraded leaves a keeper of before alone. By zod/mini, of which the
 * archive holds what is used: zod as a whole takes 11 MB there, and every start of a script copies the page tables of them.
 */
import * as z from 'zod/mini';
import { OUTCOME_NAMES } from '../../protocol/outcomes.ts';

export const KEEPER_SOCKET = 'keeper.sock';

const Run = z.object({ run: z.string() });

/** Why a run is to end before its script wants to. */
export const EndOrder = z.object({ outcome: z.enum(['timed-out', 'cancelled']), message: z.string() });
export type EndOrder = z.output<typeof EndOrder>;

/** Everything that it takes to start a script, and to keep it if the runner is gone. Durations are milliseconds, sizes bytes. */
export const StartOrder = z.extend(Run, {
  type: z.literal('start'),
  /** The run's folder in the spool. */
  folder: z.string(),
  program: z.string(),
  args: z.array(z.string()),
  cwd: z.string(),
  env: z.record(z.string(), z.string()),
  /** Variables whose values are masked in the history. */
  secrets: z._default(z.array(z.string()), []),
  stdin: z.nullable(z.object({ file: z.string(), size: z.number() })),
  /** `NAME=VALUE`: the variable that marks every process of the run. */
  mark: z.string(),
  timeout: z.number(),
  grace: z.number(),
  outputLimit: z.number(),
  limits: z._default(z.object({ memory: z.optional(z.number()), processes: z.optional(z.number()), cpu: z.optional(z.number()) }), {}),
  /** What the runner, or its successor, needs to conclude the run. The keeper does not read it. */
  memo: z.string(),
});
export type StartOrder = z.output<typeof StartOrder>;

export const RunnerMessage = z.discriminatedUnion('type', [
  /** The first message: from here on this is the runner, and another that was is not any more. */
  z.object({ type: z.literal('hello') }),
  StartOrder,
  z.extend(Run, { type: z.literal('end'), order: EndOrder }),
  /** The end of the run is in the journal: the keeper may forget it. */
  z.extend(Run, { type: z.literal('settled') }),
]);
export type RunnerMessage = z.output<typeof RunnerMessage>;

const Measured = z.object({ size: z.number(), sha256: z.string() });
const Lengths = z.object({ stdout: z.number(), stderr: z.number() });

/** How a run ended. */
export const Ended = z.object({
  outcome: z.enum(OUTCOME_NAMES),
  /** The exit code for the stub. */
  code: z.number(),
  message: z.string(),
  /** Processes that outlived KILL. */
  survivors: z.array(z.number()),
  totals: z.object({ stdout: Measured, stderr: Measured, order: z.optional(Measured) }),
});
export type Ended = z.output<typeof Ended>;

/** A run that the keeper has when a runner comes. */
const Kept = z.extend(Run, { memo: z.string(), lengths: Lengths, ended: z.nullable(Ended) });
export type Kept = z.output<typeof Kept>;

export const KeeperMessage = z.discriminatedUnion('type', [
  /** The answer to `hello`. */
  z.object({ type: z.literal('kept'), runs: z.array(Kept) }),
  z.extend(Run, { type: z.literal('started'), pid: z.number() }),
  /** Bytes in the spool by now. */
  z.extend(Run, { type: z.literal('output'), lengths: Lengths }),
  z.extend(Run, { type: z.literal('ended'), ended: Ended }),
]);
export type KeeperMessage = z.output<typeof KeeperMessage>;
