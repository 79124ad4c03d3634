/** Proxies that do TLS in front of the agent's plaintext door, each configured as its documentation recommends for WebSockets. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import path from 'node:path';
import { until } from '../helpers/wait.ts';
import type { Target } from './cutter.ts';
import { HOST } from './network.ts';
import type { Identity } from './strangers.ts';

export interface ProxyPlan {
  /** Its column. */
  name: string;
  program: string;
  args: (file: string) => string[];
  config: (setup: Setup) => string;
}

interface Setup {
  port: number;
  target: Target;
  folder: string;
  /** Certificate and key in one file. */
  pem: string;
  /** Seconds of silence after which it closes a connection; undefined: its default. */
  patience: number | undefined;
}

export const PROXIES: ProxyPlan[] = [
  {
    name: 'haproxy',
    program: 'haproxy',
    args: (file) => ['-db', '-f', file],
    // Without timeouts it warns; these are those of Debian's haproxy.cfg. `timeout tunnel`, which its documentation adds for WebSockets, is left out:
    // its use is to let them be silent for longer.
    config: ({ port, target, pem, patience = 50 }) => `
defaults
  mode http
  timeout connect 5s
  timeout client ${patience}s
  timeout server ${patience}s
frontend wss
  bind ${HOST}:${port} ssl crt ${pem}
  default_backend agent
backend agent
  server agent ${target.host}:${target.port}
`,
  },
  {
    name: 'nginx',
    program: 'nginx',
    args: (file) => ['-c', file, '-e', 'stderr'],
    // nginx.org/en/docs/http/websocket.html; what POST needs besides is in protocol/README.md, section 7.
    config: ({ port, target, pem, folder, patience }) => `
daemon off;
user root;
pid ${folder}/nginx.pid;
error_log stderr;
events {}
http {
  access_log off;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join(' ')}
  map $http_upgrade $connection_upgrade {
    default upgrade;
    '' close;
  }
  server {
    listen ${HOST}:${port} ssl;
    ssl_certificate ${pem};
    ssl_certificate_key ${pem};
    location / {
      proxy_pass http://${target.host}:${target.port};
      proxy_http_version 1.1;
      proxy_set_header Host $host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_request_buffering off;
      client_max_body_size 0;
      ${patience === undefined ? '' : `proxy_read_timeout ${patience}s; proxy_send_timeout ${patience}s;`}
    }
  }
}
`,
  },
  {
    name: 'stunnel',
    program: 'stunnel4',
    args: (file) => [file],
    config: ({ port, target, pem, patience }) => `
foreground = yes
pid =
[agent]
accept = ${HOST}:${port}
connect = ${target.host}:${target.port}
cert = ${pem}
${patience === undefined ? '' : `TIMEOUTidle = ${patience}`}
`,
  },
];

export interface ProxyOptions {
  identity: Identity;
  target: Target;
  patience?: number;
}

export class Proxy {
  readonly port: number;
  readonly #plan: ProxyPlan;
  readonly #file: string;
  #child: ChildProcess | undefined;
  #stderr = '';

  /** @param folder that does not exist yet */
  static async start(plan: ProxyPlan, folder: string, { identity, target, patience }: ProxyOptions): Promise<Proxy> {
    mkdirSync(folder, { mode: 0o700 });
    const pem = path.join(folder, 'both.pem');
    writeFileSync(pem, `${identity.cert}\n${identity.key}`, { mode: 0o600 });
    const port = await freePort();
    const file = path.join(folder, 'config');
    writeFileSync(file, plan.config({ port, target, folder, pem, patience }));
    const proxy = new Proxy(plan, port, file);
    await proxy.begin();
    return proxy;
  }

  constructor(plan: ProxyPlan, port: number, file: string) {
    this.#plan = plan;
    this.port = port;
    this.#file = file;
  }

  /** Starts the process, and waits until it takes connections. */
  async begin(): Promise<void> {
    const child = spawn(this.#plan.program, this.#plan.args(this.#file), { stdio: ['ignore', 'ignore', 'pipe'] });
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.#stderr += text));
    this.#child = child;
    await until(`${this.#plan.name} listens`, async () => {
      assert.equal(child.exitCode, null, this.#stderr);
      return takesConnections(this.port);
    });
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (child?.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGTERM');
    await once(child, 'exit');
  }
}

async function takesConnections(port: number): Promise<boolean> {
  const socket = connect(port, HOST);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** One that nobody has: in this network there is nobody else to take it. */
async function freePort(): Promise<number> {
  const server = createServer();
  await once(server.listen(0, HOST), 'listening');
  const address = server.address();
  assert.ok(address !== null && typeof address !== 'string');
  server.close();
  await once(server, 'close');
  return address.port;
}
