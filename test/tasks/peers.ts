/** Servers that actions of tasks talk to: HTTPS with a certificate of its own, a proxy, a mail server. All real, all on loopback. */
import { spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { connect, type AddressInfo, type Server as TcpServer, type Socket } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { z } from 'zod';
import { runCommand } from '../helpers/command.ts';
import { soon } from '../helpers/wait.ts';

export interface Received {
  method: string;
  url: string;
  secret: string | undefined;
  body: Record<string, unknown>;
}

export interface WebServer {
  url: string;
  /** SHA-1 of its certificate, as SmartConsole shows it. */
  fingerprint: string;
  received: Received[];
  /** What it answers. */
  answer: { status: number; body: string };
  close: () => Promise<void>;
}

export async function startWebServer(folder: string): Promise<WebServer> {
  const [key, cert] = [path.join(folder, 'web.key'), path.join(folder, 'web.pem')];
  const made = await runCommand('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc', '-days', '2', '-subj', '/CN=localhost'],
    ...['-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', key, '-out', cert],
  ]);
  if (made.code !== 0) throw new Error(made.stderr);
  const received: Received[] = [];
  const answer = { status: 200, body: '' };
  const server = createHttpsServer({ key: readFileSync(key), cert: readFileSync(cert) }, (request, response) => {
    void text(request).then((body) => {
      const secret = request.headers['x-chkp-shared-secret'];
      received.push({
        method: request.method ?? '',
        url: request.url ?? '',
        secret: typeof secret === 'string' ? secret : undefined,
        body: z.record(z.string(), z.unknown()).parse(JSON.parse(body)),
      });
      response.writeHead(answer.status, { location: '/elsewhere' }).end(answer.body);
    });
  });
  const port = await listen(server);
  const { fingerprint } = new X509Certificate(readFileSync(cert));
  return { url: `https://127.0.0.1:${port}/hook`, fingerprint, received, answer, close: () => close(server) };
}

/** A server that takes connections and never says a word. */
export async function startSilentServer(): Promise<{ url: string; close: () => Promise<void> }> {
  const server = createHttpServer();
  server.on('connection', (socket) => {
    socket.removeAllListeners('data');
    socket.on('error', () => undefined);
  });
  const port = await listen(server);
  return { url: `https://127.0.0.1:${port}/`, close: () => close(server) };
}

export interface Proxy {
  url: string;
  /** Targets of its CONNECT requests. */
  targets: string[];
  close: () => Promise<void>;
}

export async function startProxy(): Promise<Proxy> {
  const targets: string[] = [];
  const server = createHttpServer();
  server.on('connect', (request, socket) => {
    const target = request.url ?? '';
    targets.push(target);
    const [host = '', port = ''] = target.split(':');
    const upstream = connect(Number(port), host, () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      socket.pipe(upstream).pipe(socket);
    });
    upstream.on('error', () => socket.destroy());
    socket.on('error', () => upstream.destroy());
  });
  const port = await listen(server);
  return { url: `http://127.0.0.1:${port}`, targets, close: () => close(server) };
}

const MAIL_SERVER = `
import asyncore, json, smtpd, sys, warnings
class Server(smtpd.SMTPServer):
    def process_message(self, peer, sender, recipients, data, **options):
        print(json.dumps({"from": sender, "to": recipients, "data": data.decode()}), flush=True)
server = Server(("127.0.0.1", 0), None, enable_SMTPUTF8=False)
print(json.dumps({"port": server.socket.getsockname()[1]}), flush=True)
asyncore.loop()
`;

const Mail = z.object({ from: z.string(), to: z.array(z.string()), data: z.string() });

export interface MailServer {
  port: number;
  next: () => Promise<z.output<typeof Mail>>;
  close: () => Promise<void>;
}

/** Python's smtpd; undefined if this Python has none any more (3.12). */
export async function startMailServer(): Promise<MailServer | undefined> {
  const child = spawn('python3', ['-W', 'ignore', '-c', MAIL_SERVER], { stdio: ['ignore', 'pipe', 'ignore'] });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const first = await soon('the mail server', lines.next());
  if (first.done === true) return undefined;
  const { port } = z.object({ port: z.number() }).parse(JSON.parse(first.value));
  return {
    port,
    next: async () => {
      const line = await soon('a mail', lines.next());
      return Mail.parse(JSON.parse(line.done === true ? '{}' : line.value));
    },
    close: async () => {
      child.kill();
      await once(child, 'exit');
    },
  };
}

/** Also those that a CONNECT took away from HTTP. */
const connections = new WeakMap<TcpServer, Set<Socket>>();

async function listen(server: TcpServer): Promise<number> {
  const open = new Set<Socket>();
  connections.set(server, open);
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return z.custom<AddressInfo>().parse(server.address()).port;
}

async function close(server: TcpServer): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  for (const socket of connections.get(server) ?? []) socket.destroy();
  await closed;
}
