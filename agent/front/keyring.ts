/**
 * The keys, as the file has them now. It is asked at every call, as scripts are, so that a new key works and a revoked one does not from the next call on.
 * A file that cannot be used changes nothing: the keys stay as they were, and the log says so once.
 */
import { statSync } from 'node:fs';
import { Failure } from '../../protocol/failures.ts';
import { credentialOr } from '../config/credentials.ts';
import { loadKeys, type Key } from '../config/keys.ts';
import { formatProblem } from '../config/yaml-file.ts';
import type { Logger } from '../log.ts';

/** A file that is written in place is complete once it was left alone for so long, in milliseconds. One that was moved there is complete at once. */
const SETTLE = 500;

export class Keyring {
  readonly #log: Logger;
  #file: string;
  #seen: { identity: string; fingerprint: string };

  /** @param file `keys` in agent.yaml */
  constructor(file: string, log: Logger) {
    this.#file = file;
    this.#log = log;
    this.#seen = look(file);
  }

  /** Reads the file, whether or not it has changed. @throws Failure if it cannot be used */
  read(file: string = this.#file): Key[] {
    const seen = look(file);
    const keys = loadKeys(credentialOr(file));
    if (!keys.ok) throw new Failure('internal', keys.problems.map(formatProblem).join('; '));
    this.#file = file;
    this.#seen = seen;
    return keys.value;
  }

  /** The keys, if the file has changed since they were read. Never throws. */
  changed(): Key[] | undefined {
    const { identity, fingerprint, age } = look(this.#file);
    if (fingerprint === this.#seen.fingerprint || (identity === this.#seen.identity && age < SETTLE)) return undefined;
    this.#seen = { identity, fingerprint };
    try {
      const keys = this.read();
      this.#log.info({ keys: keys.map(({ id }) => id) }, 'keys changed');
      return keys;
    } catch (error) {
      this.#log.error({ reason: Failure.from(error).message }, 'the keys were changed and cannot be used; they stay as they were');
      return undefined;
    }
  }
}

/**
 * `identity` tells a file that took the place of another one from one that was written to. An inode alone does not: the next file may be given the one
 * that has just become free, so that two replacements bring it back. `age`: milliseconds since the last change.
 */
function look(file: string): { identity: string; fingerprint: string; age: number } {
  try {
    const { ino, size, mode, birthtimeNs, mtimeNs, ctimeNs, ctimeMs } = statSync(credentialOr(file), { bigint: true });
    const identity = [ino, birthtimeNs].join(':');
    return { identity, fingerprint: [identity, size, mode, mtimeNs, ctimeNs].join(':'), age: Date.now() - Number(ctimeMs) };
  } catch {
    return { identity: 'none', fingerprint: 'none', age: Infinity };
  }
}
