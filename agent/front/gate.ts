/** Decides about an upgrade request: a staircase of refusals, and at its end a key and the agent's proof. Nothing was read or allocated before. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { agentProof, parseAuthorization, proofsMatch, stubProof, type Method } from '../../protocol/auth.ts';
import { HEADERS, INTERVALS, RUN_PATH } from '../../protocol/constants.ts';
import { Failure } from '../../protocol/failures.ts';
import type { Key } from '../config/keys.ts';
import { Nonces } from './nonces.ts';
import { Penalties } from '../wire/penalties.ts';

export interface Opening {
  method: Method;
  path: string;
  headers: IncomingHttpHeaders;
  /** The peer's address. */
  address: string;
}

export interface Admitted {
  key: Key;
  /** The agent's proof, for the 101. */
  proof: string;
}

/** An unknown key costs the same HMAC as a known one. */
const DECOY = randomBytes(32).toString('hex');

export class Gate {
  #names: ReadonlySet<string>;
  readonly #nonces: Nonces;
  readonly #penalties = new Penalties();
  #keys: ReadonlyMap<string, Key>;

  constructor(names: string[], keys: Key[], nonces = new Nonces()) {
    this.#nonces = nonces;
    this.#names = new Set(names);
    this.#keys = byId(keys);
  }

  get keys(): Key[] {
    return [...this.#keys.values()];
  }

  replace(names: string[], keys: Key[]): void {
    this.#names = new Set(names);
    this.#keys = byId(keys);
  }

  /** @param now milliseconds since the epoch. @throws Failure */
  admit(opening: Opening, now: number): Admitted {
    this.#penalties.check(opening.address, now);
    try {
      return this.#examine(opening, Math.floor(now / 1000));
    } catch (error) {
      if (Failure.from(error).code === 'unauthorized') this.#penalties.add(opening.address, now);
      throw error;
    }
  }

  /**
   * The key whose secret a Check Point web request carries (checkpoint: Web Request).
   * @throws Failure
   */
  admitSecret(secret: string | undefined, address: string, now: number): Key {
    this.#penalties.check(address, now);
    const given = createHash('sha256')
      .update(secret ?? '')
      .digest();
    let found: Key | undefined;
    for (const key of this.#keys.values()) {
      if (timingSafeEqual(given, createHash('sha256').update(key.secret).digest())) found = key;
    }
    if (found !== undefined) return found;
    this.#penalties.add(address, now);
    throw new Failure('unauthorized', 'the header X-chkp-shared-secret is missing or is not the secret of a key in keys.yaml');
  }

  #examine({ method, path, headers }: Opening, now: number): Admitted {
    if (path !== RUN_PATH) throw new Failure('not-found', `nothing is served here; stubs call ${RUN_PATH}`);
    if (headers.origin !== undefined) throw new Failure('origin', 'browsers may not call; this request has an Origin header');
    const parsed = parseAuthorization(headers.authorization, headerText(headers[HEADERS.audience]));
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
    const right = proofsMatch(proof, stubProof(key?.secret ?? DECOY, claim, method));
    if (key === undefined || !right) throw new Failure('unauthorized', 'the key does not exist or its secret is wrong; make a new stub');
    this.#nonces.use(claim.nonce, Number(claim.time), now);
    return { key, proof: agentProof(key.secret, claim.nonce) };
  }
}

function byId(keys: Key[]): Map<string, Key> {
  return new Map(keys.map((key) => [key.id, key]));
}

function headerText(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? undefined : value;
}
