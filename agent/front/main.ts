/** The front's process: TLS and keys on one side, the runner's Unix socket on the other. It executes nothing. */
import { createServer as createHttpServer, type Server } from 'node:http';
import type { Server as TlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { INTERVALS, LIMITS } from '../../protocol/constants.ts';
import { Failure } from '../../protocol/failures.ts';
import type { Address, Config } from '../config/config.ts';
import { credentialOr } from '../config/credentials.ts';
import { loadKeys, type Key } from '../config/keys.ts';
import { rereadConfig } from '../config/reload.ts';
import { formatProblem } from '../config/yaml-file.ts';
import { createLogger, type Logger } from '../log.ts';
import { openDoors, type DoorParts } from './doors.ts';
import { Gate } from './gate.ts';
import { createTlsServer, readTls } from './tls.ts';

/** A peer that is silent for so long is asked by TCP whether it still exists, in milliseconds. */
const KEEP_ALIVE = 30_000;
/** How long stubs may take to close their connections once the front stops. */
const STOP_PATIENCE = 3000;

/** Fields of agent.yaml that are used at the start alone. */
const FIXED = ['listen', 'limits'] as const;

export interface Front {
  /** Where it listens, as URLs. */
  urls: string[];
  log: Logger;
  /** Reads configuration, keys and certificate once more: all of it or, if anything is wrong, nothing. @throws Failure */
  reload: () => void;
  stop: () => Promise<void>;
}

/** @throws Failure if a key file, a certificate or an address cannot be used */
export async function startFront(config: Config): Promise<Front> {
  const log = createLogger('front', config.log);
  const keys = readKeys(config);
  const gate = new Gate(config.names, keys);
  const servers: Server[] = [];
  const tlsServers: TlsServer[] = [];
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
    for (const address of config.listen.tls) {
      const server = createTlsServer(config, OPTIONS);
      tlsServers.push(server);
      await open('wss', server, address);
    }
    for (const address of config.listen.plaintext) await open('ws', createHttpServer(OPTIONS), address);
  } catch (error) {
    for (const server of servers) server.close();
    throw error;
  }
  log.info({ urls, keys: keys.map(({ id }) => id) }, 'front ready');
  return {
    urls,
    log,
    reload: () => {
      const fresh = rereadConfig(config, FIXED);
      if ((fresh.tls?.clients === undefined) !== (config.tls?.clients === undefined)) {
        throw new Failure(
          'internal',
          `${config.file}: tls.clients: to begin or to cease asking for certificates needs a restart, not a reload`,
        );
      }
      const freshKeys = readKeys(fresh);
      const tls = fresh.tls === undefined ? undefined : readTls(fresh.tls);
      Object.assign(config, fresh);
      gate.replace(config.names, freshKeys);
      if (tls !== undefined) for (const server of tlsServers) server.setSecureContext(tls);
      log.level = config.log;
      log.info({ keys: freshKeys.map(({ id }) => id) }, 'reloaded');
    },
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

/** @throws Failure */
function readKeys(config: Config): Key[] {
  const keys = loadKeys(credentialOr(config.keys));
  if (keys.ok) return keys.value;
  throw new Failure('internal', keys.problems.map(formatProblem).join('; '));
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
