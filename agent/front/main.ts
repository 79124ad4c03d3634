/** The front's process: TLS and keys on one side, the runner's Unix socket on the other. It executes nothing. */
import { readFileSync } from 'node:fs';
import { createServer as createHttpServer, type Server } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { INTERVALS, LIMITS } from '../../protocol/constants.ts';
import { Failure } from '../../protocol/failures.ts';
import type { Address, Config } from '../config/config.ts';
import { loadKeys } from '../config/keys.ts';
import { formatProblem } from '../config/yaml-file.ts';
import { createLogger } from '../log.ts';
import { openDoors, type DoorParts } from './doors.ts';
import { Gate } from './gate.ts';

/** A peer that is silent for so long is asked by TCP whether it still exists, in milliseconds. */
const KEEP_ALIVE = 30_000;
/** How long stubs may take to close their connections once the front stops. */
const STOP_PATIENCE = 3000;

export interface Front {
  /** Where it listens, as URLs. */
  urls: string[];
  stop: () => Promise<void>;
}

/** @throws Failure if a key file, a certificate or an address cannot be used */
export async function startFront(config: Config): Promise<Front> {
  const log = createLogger('front', config.log);
  const keys = loadKeys(config.keys);
  if (!keys.ok) throw new Failure('internal', keys.problems.map(formatProblem).join('\n'));
  const gate = new Gate(config.names, keys.value);
  const servers: Server[] = [];
  const sockets = new Set<Socket>();
  const urls: string[] = [];
  const open = async (scheme: 'wss' | 'ws', server: Server, address: Address): Promise<void> => {
    serve(server, { gate, config, log });
    server.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    });
    const { port } = await listen(server, address);
    servers.push(server);
    urls.push(`${scheme}://${address.host.includes(':') ? `[${address.host}]` : address.host}:${port}`);
  };
  try {
    for (const address of config.listen.tls) await open('wss', createTlsServer(config), address);
    for (const address of config.listen.plaintext) await open('ws', createHttpServer(OPTIONS), address);
  } catch (error) {
    for (const server of servers) server.close();
    throw error;
  }
  log.info({ urls, keys: keys.value.map(({ id }) => id) }, 'front ready');
  return {
    urls,
    stop: async () => {
      const closed = Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
      const impatient = setTimeout(() => {
        for (const socket of sockets) socket.destroy();
      }, STOP_PATIENCE);
      await closed;
      clearTimeout(impatient);
      log.info('front stopped');
    },
  };
}

/** A POST may last as long as a run; its headers may not. */
const OPTIONS = {
  maxHeaderSize: LIMITS.headers,
  headersTimeout: INTERVALS.handshake,
  /** Node's own 30 s would let a connection without headers live four times as long. */
  connectionsCheckingInterval: 1000,
  requestTimeout: 0,
  keepAlive: true,
};

/** Node would drop who has no certificate that it trusts, without a word to the peer or the log; the doors refuse it (client-certificate.ts). */
const ASK_CLIENTS = { requestCert: true, rejectUnauthorized: false };

function createTlsServer({ tls }: Config): Server {
  if (tls === undefined) throw new Failure('internal', 'tls: needs certificate and key');
  try {
    return createHttpsServer({
      ...OPTIONS,
      minVersion: 'TLSv1.2',
      handshakeTimeout: INTERVALS.handshake,
      cert: readFileSync(tls.certificate),
      key: readFileSync(tls.key),
      ...(tls.clients === undefined ? {} : { ca: readFileSync(tls.clients), ...ASK_CLIENTS }),
    });
  } catch (cause) {
    const clients = tls.clients === undefined ? '' : ` or ${tls.clients}, which says who may connect,`;
    throw new Failure(
      'internal',
      `the certificate ${tls.certificate} and its key ${tls.key}${clients} cannot be used: ${Failure.from(cause).message}`,
      { cause },
    );
  }
}

function serve(server: Server, parts: DoorParts): void {
  server.maxConnections = parts.config.limits.connections;
  server.on('drop', () => {
    parts.log.warn({ connections: parts.config.limits.connections }, 'connection dropped: as many as limits.connections allows');
  });
  server.on('connection', (socket: Socket) => {
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE);
  });
  server.on('tlsClientError', (error: Error, socket: TLSSocket) => {
    parts.log.debug({ reason: error.message, address: socket.remoteAddress }, 'TLS handshake failed');
  });
  openDoors(server, parts);
}

function listen(server: Server, { host, port }: Address): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const reason = cause.code === 'EADDRINUSE' ? 'another program listens there already' : cause.message;
      reject(new Failure('internal', `cannot listen on ${host}:${port}: ${reason}`, { cause }));
    });
    server.listen(port, host, () => {
      const address = server.address();
      if (address === null || typeof address === 'string') throw new Error('a TCP server has a TCP address');
      resolve(address);
    });
  });
}
