/** What a seed decides: each invocation, and every fault. Pure: the same seed and number give the same plan. */
import { Random } from './random.ts';

/** Bytes that scripts print and hosts send are slices of one pool. */
export const POOL = 2 * 1024 ** 2;

export interface Slice {
  at: number;
  size: number;
}

/** What a connection suffers after so many bytes in one direction. */
export interface Mishap {
  kind: 'cut' | 'stall';
  direction: 'up' | 'down';
  after: number;
  /** Of a stall: milliseconds. */
  pause: number;
}

/** `plain` ends by itself; `hang` never does, and has a time limit; `kill` has on-caller-loss: kill. */
export type ScriptName = 'plain' | 'hang' | 'kill';

export interface Invocation {
  /** Its event, and the name of its ledger. */
  id: string;
  transport: 'tcp' | 'openssl' | 'curl';
  script: ScriptName;
  stdin: Slice;
  stdout: Slice;
  stderr: Slice;
  /** How many pieces the output comes in, and milliseconds between them. */
  parts: number;
  pause: number;
  /** Below 64: the codes from there on are the stub's. */
  code: number;
  /** Starts a process in a session of its own that holds the pipes and never ends. */
  bait: boolean;
  /** Ignores TERM. */
  stubborn: boolean;
  /** One for each connection, in their order; those that follow are left alone. */
  mishaps: (Mishap | undefined)[];
  /** A signal to the stub, so many milliseconds after its start. */
  signal: { name: 'SIGKILL' | 'SIGTERM'; after: number } | undefined;
  /** Milliseconds for which nobody reads the stub's output, and then again between any two reads. */
  slow: { first: number; every: number } | undefined;
  /** Calls even while a part of the agent is known to be away. */
  impatient: boolean;
}

/** Something that happens to all of the agent. */
export type Disaster =
  | { kind: 'kill-front' }
  | { kind: 'kill-runner' }
  /** Milliseconds. */
  | { kind: 'disk-full'; lasts: number }
  /** The agent's wall clock jumps, by seconds, and back. */
  | { kind: 'clock'; jump: number; lasts: number };

/** Longer than the stub waits for a sign of life, and longer than the agent is ever silent; seconds. */
export const SILENCE = 13;

export function invocationAt(seed: string, index: number): Invocation {
  const random = new Random(`${seed}/${index}`);
  const transport = random.chance(0.6) ? 'tcp' : random.chance(0.75) ? 'openssl' : 'curl';
  const script = random.chance(0.03) ? 'hang' : random.chance(0.05) ? 'kill' : 'plain';
  const slice = (max: number): Slice => {
    const size = random.size(max);
    return { at: random.int(0, POOL - size), size };
  };
  const large = random.chance(0.1);
  const stdin = slice(random.chance(0.05) ? 600_000 : 20_000);
  const stdout = slice(large ? 1_000_000 : 40_000);
  const stderr = slice(large ? 100_000 : 2000);
  return {
    id: `I${String(index).padStart(6, '0')}`,
    transport,
    script,
    ...{ stdin, stdout, stderr },
    parts: random.int(1, 6),
    pause: random.chance(0.5) ? 0 : random.int(1, 120),
    code: random.chance(0.6) ? 0 : random.int(1, 63),
    bait: random.chance(0.15),
    stubborn: random.chance(0.1),
    mishaps: mishaps(random, stdin.size, stdout.size + stderr.size),
    signal: random.chance(0.08) ? { name: random.chance(0.7) ? 'SIGKILL' : 'SIGTERM', after: random.int(0, 500) } : undefined,
    slow: random.chance(0.05) ? { first: random.int(0, 1500), every: random.int(0, 50) } : undefined,
    impatient: random.chance(0.05),
  };
}

/** @param up bytes that the invocation sends @param down bytes that it gets; handshakes come on top */
function mishaps(random: Random, up: number, down: number): Invocation['mishaps'] {
  const list: Invocation['mishaps'] = [];
  for (let probability = 0.3; random.chance(probability); probability = 0.5) {
    const kind = random.chance(0.75) ? 'cut' : 'stall';
    const direction = random.chance(0.3) ? 'up' : 'down';
    const after = HANDSHAKE[direction] + random.int(-HANDSHAKE[direction], direction === 'up' ? up : down);
    const pause = random.chance(0.03) ? SILENCE * 1000 + 3000 : random.int(10, 1500);
    list.push(random.chance(0.9) ? { kind, direction, after, pause } : undefined);
  }
  return list;
}

/** About as many bytes go over a connection before there is a word of the invocation. */
const HANDSHAKE = { up: 900, down: 400 };

/** Bytes of a short call over each transport, with room for what differs from call to call. */
const SHORT_CALL = { tcp: { up: 1200, down: 1000 }, openssl: { up: 2000, down: 3000 }, curl: { up: 2000, down: 3000 } };

/** Each byte of a short call, at which it is cut once: its transport, its direction, and after how many bytes. */
export const EVERY_CUT = (['tcp', 'openssl', 'curl'] as const).flatMap((transport) =>
  (['up', 'down'] as const).flatMap((direction) =>
    Array.from({ length: SHORT_CALL[transport][direction] }, (_, after) => ({ transport, direction, after })),
  ),
);

/** A short call that is cut at the place of this number in {@link EVERY_CUT}, and nowhere else. */
export function cutAt(seed: string, index: number): Invocation {
  const place = EVERY_CUT[index];
  if (place === undefined) throw new Error(`there is no place ${index}`);
  const { transport, direction, after } = place;
  return {
    ...invocationAt(seed, index),
    ...{ transport, script: 'plain', stdin: { at: 0, size: 100 }, stdout: { at: 0, size: 300 }, stderr: { at: 0, size: 20 } },
    ...{ parts: 2, pause: 0, bait: false, signal: undefined, slow: undefined },
    mishaps: [{ kind: 'cut', direction, after, pause: 0 }],
  };
}

/** What happens to the agent when the invocation of this number begins. */
export function disasterAt(seed: string, index: number): Disaster | undefined {
  const random = new Random(`${seed}/disaster/${index}`);
  if (index < 5 || !random.chance(1 / 40)) return undefined;
  const which = random.fraction();
  if (which < 0.3) return { kind: 'kill-front' };
  if (which < 0.6) return { kind: 'kill-runner' };
  if (which < 0.8) return { kind: 'disk-full', lasts: random.int(50, 800) };
  const jump = random.chance(0.7) ? random.int(-250, 250) : random.int(-7200, 7200);
  return { kind: 'clock', jump, lasts: random.int(1200, 2500) };
}
