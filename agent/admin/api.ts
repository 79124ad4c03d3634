/** What the page asks for. Everything but the session comes from the runner, and nothing of it holds a secret. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { z } from 'zod';
import { Failure } from '../../protocol/failures.ts';
import { callRunner } from '../wire/runner-api.ts';
import type { Access } from './access.ts';
import { sendOutput, sendStream } from './output.ts';

/** A key as the page shows it. */
export type KeySummary = Record<string, unknown>;

export interface ApiParts {
  socket: string;
  access: Access;
  keys: () => KeySummary[];
  /** Two agents on one machine must not overwrite each other's cookie. */
  cookie: () => string;
  /** Whether the browser may send the cookie over TLS alone. */
  secure: boolean;
  /** Notes what was done by somebody on the page. */
  note: (action: string, run: string, address: string) => void;
}

/** Paths that are the runner's own under `/v1`. */
const PASSED = [
  /^GET \/(runs|runs\/[0-9A-Z]{26}|refused|history|tasks|scripts|scripts\/.{1,800})$/,
  /^POST \/runs\/[0-9A-Z]{26}\/(cancel|rerun)$/,
];
const Login = z.strictObject({ token: z.string().max(512) });
const BODY_LIMIT = 2048;

/** Answers with a JSON value, or has answered by itself and returns undefined. @throws Failure */
export async function answerApi(request: IncomingMessage, response: ServerResponse, parts: ApiParts): Promise<unknown> {
  const url = new URL(request.url ?? '/', 'http://admin');
  const target = `${request.method ?? ''} ${url.pathname.slice('/api'.length)}`;
  const address = request.socket.remoteAddress ?? '';
  const { access } = parts;
  if (target === 'POST /session') {
    const { cookie, csrf } = access.login((await readLogin(request)).token, address, Date.now());
    setCookie(response, parts, cookie, 43_200);
    return { csrf };
  }
  const cookie = cookieOf(request, parts.cookie());
  const bearer = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
  if (bearer === undefined) access.checkSession(cookie, String(request.headers['x-mediator-csrf'] ?? ''), Date.now());
  else access.checkToken(bearer, address, Date.now());
  const [, run = '', action = ''] = /^\S+ \/runs\/([0-9A-Z]{26})(?:\/([a-z]+))?$/.exec(target) ?? [];
  switch (target) {
    case 'DELETE /session':
      access.logout(cookie);
      setCookie(response, parts, '', 0);
      return {};
    case 'GET /status':
      return callRunner(parts.socket, 'GET', '/healthz');
    case 'GET /keys':
      return { keys: parts.keys() };
    case `GET /runs/${run}/output`:
      await sendOutput(response, parts.socket, run);
      return undefined;
    case `GET /runs/${run}/stdout`:
    case `GET /runs/${run}/stderr`:
      await sendStream(response, parts.socket, run, action === 'stdout' ? 'stdout' : 'stderr');
      return undefined;
    default:
      if (!PASSED.some((pattern) => pattern.test(target))) throw new Failure('not-found', `nothing is served at ${url.pathname}`);
  }
  if (request.method === 'POST') parts.note(action, run, address);
  return callRunner(parts.socket, request.method === 'POST' ? 'POST' : 'GET', `/v1${url.pathname.slice('/api'.length)}${url.search}`);
}

async function readLogin(request: IncomingMessage): Promise<z.output<typeof Login>> {
  if (request.headers['content-type'] !== 'application/json') throw new Failure('bad-request', 'the token is sent as JSON');
  let body = '';
  for await (const chunk of request.setEncoding('utf8')) {
    body += String(chunk);
    if (body.length > BODY_LIMIT) throw new Failure('bad-request', 'the request is too long');
  }
  try {
    return Login.parse(JSON.parse(body));
  } catch (cause) {
    throw new Failure('bad-request', 'this is not {"token": "…"}', { cause });
  }
}

function cookieOf({ headers }: IncomingMessage, name: string): string {
  const pairs = (headers.cookie ?? '').split(';').map((pair) => pair.trim());
  return pairs.find((pair) => pair.startsWith(`${name}=`))?.slice(name.length + 1) ?? '';
}

function setCookie(response: ServerResponse, { cookie, secure }: ApiParts, value: string, seconds: number): void {
  const attributes = `HttpOnly; SameSite=Strict; Path=/api; Max-Age=${seconds}${secure ? '; Secure' : ''}`;
  response.setHeader('set-cookie', `${cookie()}=${value}; ${attributes}`);
}
