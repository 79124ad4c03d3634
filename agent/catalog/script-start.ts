/**
 * Whether a script was written to while its interpreter was about to read it. The kernel and the interpreter open it by its path, after our last look
 * at it; who writes under that name in between lets them read half of it, and half a script can end with 0.
 */
import { statSync, type BigIntStats } from 'node:fs';
import type { Script } from './catalog.ts';
import { fingerprintOf } from './contents.ts';

/** Change times may lag behind the clock by a tick of the kernel, in milliseconds. */
const TICK = 10;

export class ScriptStart {
  readonly #file: string;
  readonly #settle: number;
  readonly #before: BigIntStats | undefined;
  readonly #since: bigint;
  #timer: NodeJS.Timeout | undefined;
  #overwritten: boolean | undefined;

  /**
   * @param settle milliseconds after its start in which an interpreter may still be reading it
   * @param now wall-clock milliseconds, as files have them
   */
  constructor({ file, version }: Pick<Script, 'file' | 'version'>, settle: number, now = Date.now()) {
    this.#file = file;
    this.#settle = settle;
    this.#since = BigInt(Math.round(now) - TICK);
    this.#before = statOf(file);
    if (this.#before === undefined || !version.startsWith(`${fingerprintOf(this.#before)} `)) this.#overwritten = true;
  }

  /** It has a process. */
  begun(): void {
    this.#timer = setTimeout(() => this.overwritten(), this.#settle).unref();
  }

  /** To be asked when it has ended. */
  overwritten(): boolean {
    clearTimeout(this.#timer);
    return (this.#overwritten ??= this.#look());
  }

  /** A file that was finished before and has taken the place of the old one (mv) is whole at any moment; so is the old one, if there is none now. */
  #look(): boolean {
    const [before, now] = [this.#before, statOf(this.#file)];
    if (now === undefined) return false;
    if (before?.ino === now.ino && before.dev === now.dev) return before.mtimeNs !== now.mtimeNs || before.size !== now.size;
    return now.mtimeMs >= this.#since || now.birthtimeMs >= this.#since;
  }
}

function statOf(file: string): BigIntStats | undefined {
  return statSync(file, { bigint: true, throwIfNoEntry: false });
}
