/**
 * A control group for each run, where systemd has delegated the unit's own: one write ends everything in it, and it takes limits. A child is born
 * in the group of who forks it. So the keeper waits in the group of the run that comes next, and moves on to another one once the script is forked:
 * a move takes 12 ms after a pause (p50; 0.05 ms straight after another one; Linux 6.18), and that way no run waits for it.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Group, foldersIn, write } from './group.ts';

/** The unit says that its group is ours (systemd/mediator-runner.service). Whoever is root could write to any. */
const DELEGATED = 'MEDIATOR_CGROUP';
/** DelegateSubgroup= of the unit, from systemd 254 on. Limits need it: groups with controllers below them may hold no process, and systemd starts each runner there. */
const SUBGROUP = 'runner';
const CONTROLLERS = ['memory', 'pids', 'cpu'] as const;
/** For what an earlier keeper has left to be gone. Milliseconds. */
const PATIENCE = 5000;
const POLL = 20;

export class Groups {
  readonly #runs: string;
  /** Where the keeper's own helpers go. */
  readonly #helpers: string;
  /** Moves that go on. */
  readonly #moves = new Set<Promise<void>>();
  /** Of runs that have ended, and left processes in the background. */
  readonly #lingering = new Set<Group>();
  /** In which the keeper waits for the next run. */
  #next: Group | undefined;
  #parking: Promise<void> = Promise.resolve();
  #count = 0;

  /** Undefined where no group is ours. Ends what an earlier keeper has left. */
  static async open(): Promise<Groups | undefined> {
    const own = process.env[DELEGATED] === 'delegated' ? ownFolder() : undefined;
    if (own === undefined) return undefined;
    const subgroup = path.basename(own) === SUBGROUP;
    const base = subgroup ? path.dirname(own) : own;
    const groups = new Groups(base);
    try {
      await groups.#prepare(base, subgroup);
      return groups;
    } catch {
      return undefined; // it was not ours, after all
    }
  }

  private constructor(base: string) {
    this.#runs = path.join(base, 'runs');
    this.#helpers = path.join(base, 'keeper');
  }

  async #prepare(base: string, controllers: boolean): Promise<void> {
    for (const folder of [this.#runs, this.#helpers]) mkdirSync(folder, { recursive: true });
    const left = foldersIn(this.#runs).map((folder) => new Group(folder));
    for (const group of left) group.kill();
    const deadline = performance.now() + PATIENCE;
    while (!left.every((group) => group.remove()) && performance.now() < deadline) await delay(POLL);
    if (controllers)
      for (const folder of [base, this.#runs]) for (const name of CONTROLLERS) write(folder, 'cgroup.subtree_control', `+${name}`);
    await this.#park();
  }

  /** What `start` forks at once is born in a group of its own. Undefined if there cannot be one, now. */
  async within<T>(start: () => T): Promise<{ started: T; group: Group | undefined }> {
    while (this.#next === undefined && this.#moves.size > 0) await this.#parking;
    const group = this.#next;
    this.#next = undefined;
    const started = start();
    this.#parking = this.#park().catch(() => undefined);
    return { started, group };
  }

  /** A helper that the keeper has just forked belongs to no run. */
  expel(pid: number): void {
    this.#move(pid, this.#helpers).catch(() => undefined); // it has ended already
  }

  /** The run has ended. */
  discard(group: Group): void {
    this.#lingering.add(group);
    for (const each of this.#lingering) if (each.remove()) this.#lingering.delete(each);
  }

  async #park(): Promise<void> {
    const folder = path.join(this.#runs, `${process.pid}-${(this.#count += 1)}`);
    await this.#move(process.pid, folder, true);
    this.#next = new Group(folder, async () => {
      await Promise.allSettled(this.#moves);
    });
  }

  #move(pid: number, folder: string, make = false): Promise<void> {
    const move = (make ? mkdir(folder) : Promise.resolve())
      .then(() => writeFile(path.join(folder, 'cgroup.procs'), String(pid)))
      .finally(() => this.#moves.delete(move));
    this.#moves.add(move);
    return move;
  }
}

/** Which limits nobody can enforce on this machine, because version 2 of its control groups has no controller for them. */
export function unenforceable(limits: string[], controllers = controllersHere()): string[] {
  return limits.filter((limit) => !controllers.includes(limit === 'processes' ? 'pids' : limit));
}

function controllersHere(): string[] {
  try {
    return readFileSync('/sys/fs/cgroup/cgroup.controllers', 'utf8').trim().split(' '); // version 2 alone, and mounted where systemd mounts it
  } catch {
    return [];
  }
}

/** The folder of the group that we are in. */
export function ownFolder(
  cgroup = readFileSync('/proc/self/cgroup', 'utf8'),
  mounts = readFileSync('/proc/self/mountinfo', 'utf8'),
): string | undefined {
  const own = /^0::(\/.*)$/m.exec(cgroup)?.[1];
  // proc(5): id parent major:minor root mount-point options optional… - type source options
  const [, root, mount] = /^\d+ \d+ \S+ (\S+) (\S+) .* - cgroup2 /m.exec(mounts) ?? [];
  if (own === undefined || root === undefined || mount === undefined) return undefined;
  const below = root === '/' ? own : own === root || own.startsWith(`${root}/`) ? own.slice(root.length) : undefined;
  return below === undefined || below === '/' ? undefined : path.join(mount, below);
}
