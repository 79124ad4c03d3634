/**
 * Decides about an upgrade request: a staircase of refusals, and at its end a key and the agent's proof. Nothing was read or allocated before.
 * Long because the order of its steps is what keeps strangers out.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { bothProofs, parseAuthorization, proofsMatch, type Method } from '../../protocol/auth.ts';
import { HEADERS, INTERVALS, RUN_PATH } from '../../protocol/constants.ts';
import { Failure } from '../../protocol/failures.ts';
import { checkKey, secretsOf, type Key } from '../config/keys.ts';
import { Nonces } from './nonces.ts';
import { Penalties } from '../wire/penalties.ts';

export interface Opening {
  method: Method;
  path: string;
  headers: IncomingHttpHeaders;
  /** The peer's address. */
  address: string;
}

export interface Proven {
  key: Key;
  /** By a secret that a rotation has replaced. */
  previous: boolean;
}

export interface Admitted extends Proven {
  /** By which it was proven. */
  secret: string;
  /** The agent's proof, for the 101. */
  proof: string;
}

/** An unknown key costs the same HMACs as a known one. */
const DECOY = randomBytes(32).toString('hex');

export class Gate {
  #names: ReadonlySet<string>;
  readonly #nonces: Nonces;
  readonly #penalties = new Penalties();
  #keys: ReadonlyMap<string, Key>;
  readonly #changed: () => Key[] | undefined;

  /** @param changed the keys, if they are others than they were at the last call */
  constructor(names: string[], keys: Key[], nonces = new Nonces(), changed: () => Key[] | undefined = () => undefined) {
    this.#nonces = nonces;
    this.#names = new Set(names);
    this.#keys = byId(keys);
    this.#changed = changed;
  }

  get keys(): Key[] {
    return [...this.#keys.values()];
  }

  replace(names: string[], keys: Key[]): void {
    this.#names = new Set(names);
    this.#keys = byId(keys);
  }

  /**
   * @param onProven told as soon as the proof is right: who is refused after that is no stranger
   * @throws Failure
   */
  admit({ method, path, headers, address }: Opening, milliseconds: number, onProven: (proven: Proven) => void = () => undefined): Admitted {
    this.#refresh();
    const now = Math.floor(milliseconds / 1000);
    if (path !== RUN_PATH) throw new Failure('not-found', `nothing is served here; stubs call ${RUN_PATH}`);
    if (headers.origin !== undefined) throw new Failure('origin', 'browsers may not call; this request has an Origin header');
    const parsed = parseAuthorization(headers.authorization, audienceIn(headers));
    if (parsed === undefined) throw new Failure('bad-request', 'the headers Authorization and Mediator-Audience are missing or malformed');
    const { claim, proof } = parsed;
    if (!this.#names.has(claim.audience)) {
      throw new Failure(
        'misdirected',
        `this agent is not known as "${claim.audience}"; add it to names in agent.yaml, or correct the URL of the stub`,
      );
    }
    const behind = now - Number(claim.time);
    if (Math.abs(behind) > INTERVALS.clockSkewSeconds) {
      throw new Failure(
        'clock-skew',
        `the stub's clock is ${Math.abs(behind)} s ${behind > 0 ? 'behind' : 'ahead of'} the agent's; set the clocks`,
      );
    }
    const key = this.#keys.get(claim.key);
    const secrets = key === undefined ? [] : secretsOf(key, milliseconds);
    const proofs = Array.from({ length: this.#proofs() }, (_, index) => bothProofs(secrets[index] ?? DECOY, claim, method));
    const matches = proofs.map((own) => proofsMatch(proof, own.stub));
    const index = secrets.findIndex((_, at) => matches[at]);
    const [secret, own] = [secrets[index], proofs[index]];
    if (key === undefined || secret === undefined || own === undefined) {
      throw this.#stranger(address, milliseconds, 'the key does not exist or its secret is wrong; make a new stub');
    }
    this.#penalties.pass(address, key.id, milliseconds);
    this.#nonces.use(claim.nonce, Number(claim.time), now); // before all else: who repeats the bytes of another is a stranger
    const proven = { key, previous: index > 0 };
    onProven(proven);
    checkKey(key, address, milliseconds);
    return { ...proven, secret, proof: own.agent };
  }

  /** The key as it is now, of somebody who was admitted a while ago. @throws Failure */
  readmit({ key: { id }, secret }: Admitted, address: string, now: number): Key {
    this.#refresh();
    const key = this.#keys.get(id);
    if (key !== undefined && secretsOf(key, now).includes(secret)) return checkKey(key, address, now);
    throw new Failure('unauthorized', `the key ${id} does not exist any more, or has another secret by now`);
  }

  /**
   * The key whose secret a Check Point web request carries (checkpoint: Web Request).
   * @param onProven as above
   * @throws Failure
   */
  admitSecret(secret: string | undefined, address: string, now: number, onProven: (proven: Proven) => void = () => undefined): Proven {
    this.#refresh();
    const given = digest(secret ?? '');
    let found: Proven | undefined;
    for (const key of this.#keys.values()) {
      for (const [index, own] of secretsOf(key, now).entries())
        if (timingSafeEqual(given, digest(own))) found = { key, previous: index > 0 };
    }
    if (found === undefined) {
      throw this.#stranger(address, now, 'the header X-chkp-shared-secret is missing or is not the secret of a key in keys.yaml');
    }
    this.#penalties.pass(address, found.key.id, now);
    onProven(found);
    checkKey(found.key, address, now);
    return found;
  }

  #refresh(): void {
    const changed = this.#changed();
    if (changed !== undefined) this.#keys = byId(changed);
  }

  /** As many as the key with the most secrets needs: the time that an answer takes does not tell which keys there are. */
  #proofs(): number {
    return Math.max(1, ...[...this.#keys.values()].map(({ previous = [] }) => 1 + previous.length));
  }

  #stranger(address: string, now: number, message: string): Failure {
    this.#penalties.check(address, now);
    this.#penalties.add(address, now);
    return new Failure('unauthorized', message);
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function byId(keys: Key[]): Map<string, Key> {
  return new Map(keys.map((key) => [key.id, key]));
}

export function audienceIn({ [HEADERS.audience]: value }: IncomingHttpHeaders): string | undefined {
  return Array.isArray(value) ? undefined : value;
}
