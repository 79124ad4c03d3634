/** A control group of version 2 (cgroups(7)), as a folder: what is in it, its limits, its end. */
import { closeSync, constants, openSync, readFileSync, readdirSync, rmdirSync, writeSync } from 'node:fs';
import path from 'node:path';

/** What a run may take at most. */
export interface Limits {
  /** Bytes. */
  memory?: number | undefined;
  processes?: number | undefined;
  /** Processors: 1.5 is one and a half. */
  cpu?: number | undefined;
}

/** Microseconds in which a group may use its share of the processors: the kernel's own default. */
const CPU_PERIOD = 100_000;

export class Group {
  readonly folder: string;
  /** Resolves when nobody is in it any more who does not belong there. */
  readonly vacated: () => Promise<void>;

  constructor(folder: string, vacated: () => Promise<void> = () => Promise.resolve()) {
    this.folder = folder;
    this.vacated = vacated;
  }

  /** The process ids of all that live in it and below it: scripts may make groups of their own there. We are never one. */
  members(): number[] {
    return this.#all().filter((pid) => pid !== process.pid);
  }

  /** KILL to all that live in it, at once: nobody can fork away from it. Without effect before Linux 5.14, and while we are in it: signals have to do then. */
  kill(): void {
    if (!this.#all().includes(process.pid)) write(this.folder, 'cgroup.kill', '1');
  }

  /** Returns whether it is gone: what is not empty stays. */
  remove(): boolean {
    try {
      for (const folder of this.#folders().reverse()) rmdirSync(folder);
      return true;
    } catch {
      return false;
    }
  }

  /** Returns the names of the limits that the system does not enforce here. */
  limit({ memory, processes, cpu }: Limits): string[] {
    const settings: [name: keyof Limits, file: string, value: string | undefined][] = [
      ['memory', 'memory.max', memory?.toString()],
      ['processes', 'pids.max', processes?.toString()],
      ['cpu', 'cpu.max', cpu === undefined ? undefined : `${Math.round(cpu * CPU_PERIOD)} ${CPU_PERIOD}`],
    ];
    const missing = settings.filter(([, file, value]) => value !== undefined && !write(this.folder, file, value));
    if (memory !== undefined) {
      write(this.folder, 'memory.swap.max', '0');
      write(this.folder, 'memory.oom.group', '1'); // half of a run is none
    }
    return missing.map(([name]) => name);
  }

  /** Whether the kernel has killed it for its memory limit. */
  get ranOutOfMemory(): boolean {
    return /^oom_kill [1-9]/m.test(read(this.folder, 'memory.events'));
  }

  #all(): number[] {
    return this.#folders().flatMap((folder) => read(folder, 'cgroup.procs').split('\n').filter(Boolean).map(Number));
  }

  /** It and all below it, from the top. */
  #folders(): string[] {
    const folders = [this.folder];
    for (const folder of folders) folders.push(...foldersIn(folder));
    return folders;
  }
}

export function foldersIn(folder: string): string[] {
  try {
    const entries = readdirSync(folder, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => path.join(folder, name));
  } catch {
    return []; // gone in the meantime
  }
}

function read(folder: string, name: string): string {
  try {
    return readFileSync(path.join(folder, name), 'latin1');
  } catch {
    return '';
  }
}

/** Only to files that are there, which tells what the kernel can do. Returns whether it took it. */
export function write(folder: string, name: string, value: string): boolean {
  try {
    const fd = openSync(path.join(folder, name), constants.O_WRONLY);
    try {
      writeSync(fd, value);
    } finally {
      closeSync(fd);
    }
    return true;
  } catch {
    return false;
  }
}
