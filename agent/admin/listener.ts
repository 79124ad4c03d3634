/** The admin listener: health, metrics, and the page with its API. It is a client of the runner's API, and executes nothing. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { Failure, statusOf } from '../../protocol/failures.ts';
import { isLoopback, type Address } from '../config/address.ts';
import type { Logger } from '../log.ts';
import { exchange } from '../wire/runner-api.ts';
import { Access, checkOrigin } from './access.ts';
import { answerApi, type ApiParts, type KeySummary } from './api.ts';
import { Assets } from './assets.ts';
import { mergeMetrics } from './metrics.ts';

/** Before another attempt to listen, in milliseconds. */
const RETRY = 10_000;
const LOOPBACK = new Set(['localhost', '127.0.0.1', '::1']);

export interface AdminParts {
  /** Without TLS only on loopback. */
  server: Server;
  address: Address;
  token: string;
  /** Names by which browsers may call, besides those of loopback. */
  names: () => string[];
  /** Keys without their secrets. */
  keys: () => KeySummary[];
  /** The runner's socket. */
  socket: string;
  /** The front's own numbers. */
  metrics: () => string;
  log: Logger;
}

/**
 * Resolves with its port, or with undefined if it cannot listen: then it is said, and tried again and again. Whatever is wrong with the page, calls are served.
 */
export function startAdmin(parts: AdminParts): Promise<number | undefined> {
  const { server, address, log } = parts;
  const access = new Access(parts.token);
  const assets = new Assets();
  let listening = address.port;
  const api: ApiParts = {
    ...{ socket: parts.socket, access, keys: parts.keys, secure: !isLoopback(address) },
    cookie: () => `mediator-${listening}`,
    note: (action, run, by) => {
      log.info({ action, run, address: by }, 'by the page');
    },
  };
  server.maxConnections = 256;
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    setHeaders(response, assets);
    void answer(request, response, parts, { assets, api });
  });
  return new Promise((resolve) => {
    const listen = (): void => {
      server.listen(address.port, address.host);
    };
    server.on('error', (error: NodeJS.ErrnoException) => {
      const reason = error.code === 'EADDRINUSE' ? 'another program listens there already' : error.message;
      log.error({ ...address, reason }, 'the admin listener cannot listen; it tries again');
      setTimeout(listen, RETRY).unref();
      resolve(undefined);
    });
    server.on('listening', () => {
      const at = server.address();
      const port = at === null || typeof at === 'string' ? address.port : at.port;
      listening = port;
      log.info({ host: address.host, port }, 'admin listener ready');
      resolve(port);
    });
    listen();
  });
}

/** The page and its API. */
interface Page {
  assets: Assets;
  api: ApiParts;
}

async function answer(request: IncomingMessage, response: ServerResponse, parts: AdminParts, page: Page): Promise<void> {
  try {
    checkOrigin(request, new Set([...LOOPBACK, parts.address.host, ...parts.names()]));
    await route(request, response, parts, page);
  } catch (error) {
    const { code, message } = Failure.from(error);
    const status = code === 'unknown-run' || code === 'no-such-script' || code === 'not-found' ? 404 : statusOf(code);
    parts.log[code === 'internal' ? 'error' : 'info']({ code, reason: message, address: request.socket.remoteAddress }, 'admin: refused');
    if (response.headersSent) response.destroy();
    else send(response, code === 'internal' ? 500 : status, 'application/json', JSON.stringify({ error: { code, message } }));
  }
}

async function route(request: IncomingMessage, response: ServerResponse, parts: AdminParts, { assets, api }: Page): Promise<void> {
  const { pathname } = new URL(request.url ?? '/', 'http://admin');
  switch (`${request.method ?? ''} ${pathname}`) {
    case 'GET /healthz':
      send(response, 200, 'application/json', '{"status":"ok"}\n');
      return;
    case 'GET /readyz': {
      const { status, body } = await exchange(parts.socket, 'GET', '/readyz');
      send(response, status, 'application/json', body);
      return;
    }
    case 'GET /metrics':
      if (!isLoopback(parts.address)) api.access.checkToken(bearerOf(request), request.socket.remoteAddress ?? '', Date.now());
      send(response, 200, 'text/plain; version=0.0.4; charset=utf-8', await collect(parts));
      return;
    default: {
      if (pathname.startsWith('/api/')) {
        const value = await answerApi(request, response, api);
        if (value !== undefined) send(response, 200, 'application/json', `${JSON.stringify(value)}\n`);
        return;
      }
      const asset = request.method === 'GET' ? assets.of(pathname) : undefined;
      if (asset === undefined) throw new Failure('not-found', `nothing is served at ${pathname}`);
      send(response, 200, asset.type, asset.body);
    }
  }
}

/** Numbers of the front and, if it answers, of the runner. */
async function collect({ socket, metrics }: AdminParts): Promise<string> {
  const runner = await exchange(socket, 'GET', '/metrics').catch(() => undefined);
  const up = `# HELP mediator_runner_up 1 if the runner answers the front.\n# TYPE mediator_runner_up gauge\nmediator_runner_up ${Number(runner?.status === 200)}\n`;
  return mergeMetrics([up, metrics(), runner?.body ?? '']);
}

function bearerOf({ headers }: IncomingMessage): string {
  return /^Bearer (\S+)$/i.exec(headers.authorization ?? '')?.[1] ?? '';
}

function setHeaders(response: ServerResponse, { policy }: Assets): void {
  const headers = {
    'content-security-policy': policy,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
  };
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
}

function send(response: ServerResponse, status: number, type: string, body: string | Buffer): void {
  response.writeHead(status, { 'content-type': type }).end(body);
}
