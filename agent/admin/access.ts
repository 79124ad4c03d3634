/**
 * Who may use the admin listener. A session is a cookie and a second secret that the page keeps to itself: browsers send cookies to every port
 * of a host, and from every page of it, so that a cookie alone proves nothing.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { Failure } from '../../protocol/failures.ts';
import { Penalties } from '../wire/penalties.ts';

/** A session that nobody used for so long has ended. Milliseconds. */
const IDLE = 12 * 3_600_000;
/** Sessions at once; the one that was used least recently ends. */
const MAX_SESSIONS = 100;

export interface Session {
  cookie: string;
  csrf: string;
}

export class Access {
  readonly #token: Buffer;
  readonly #penalties = new Penalties();
  /** By the digest of the cookie, in the order of their last use. */
  readonly #sessions = new Map<string, { csrf: Buffer; used: number }>();

  constructor(token: string) {
    this.#token = digest(token);
  }

  /** @param now milliseconds since the epoch. @throws Failure `unauthorized`, `slow-down` */
  login(token: string, address: string, now: number): Session {
    this.checkToken(token, address, now);
    const session = { cookie: randomBytes(32).toString('base64url'), csrf: randomBytes(32).toString('base64url') };
    this.#sessions.set(keyOf(session.cookie), { csrf: digest(session.csrf), used: now });
    const [oldest] = this.#sessions.keys();
    if (this.#sessions.size > MAX_SESSIONS && oldest !== undefined) this.#sessions.delete(oldest);
    return session;
  }

  logout(cookie: string): void {
    this.#sessions.delete(keyOf(cookie));
  }

  /** @throws Failure `unauthorized`, `slow-down` */
  checkToken(token: string, address: string, now: number): void {
    this.#penalties.check(address, now);
    if (timingSafeEqual(digest(token), this.#token)) return;
    this.#penalties.add(address, now);
    throw new Failure('unauthorized', 'this is not the token; it is in the file that admin.token-file in agent.yaml names');
  }

  /** @throws Failure `unauthorized` unless both belong to one session */
  checkSession(cookie: string, csrf: string, now: number): void {
    const key = keyOf(cookie);
    const session = this.#sessions.get(key);
    this.#sessions.delete(key);
    if (session === undefined || now - session.used > IDLE) throw new Failure('unauthorized', 'log in first');
    this.#sessions.set(key, { ...session, used: now });
    if (!timingSafeEqual(digest(csrf), session.csrf))
      throw new Failure('unauthorized', 'log in first: this page has no session of its own');
  }
}

/** Sites that resolve to this machine (DNS rebinding) and pages of others are refused. @throws Failure `misdirected`, `origin` */
export function checkOrigin({ headers, method }: IncomingMessage, names: ReadonlySet<string>): void {
  const host = headers.host ?? '';
  const name = /^(\[[0-9a-f:.]+\]|[^:]*)(?::\d{1,5})?$/i.exec(host)?.[1]?.toLowerCase().replace(/[[\]]/g, '') ?? '';
  if (!names.has(name)) throw new Failure('misdirected', 'the agent is not known by this name; add it to names in agent.yaml');
  const foreign = new Failure('origin', 'a page of another site may not call');
  const { origin } = headers;
  if (origin !== undefined && origin !== `http://${host}` && origin !== `https://${host}`) throw foreign;
  const site = headers['sec-fetch-site'];
  const mayNavigate = method === 'GET' && headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document';
  if (site !== undefined && site !== 'same-origin' && site !== 'none' && !mayNavigate) throw foreign;
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function keyOf(cookie: string): string {
  return digest(cookie).toString('hex');
}
