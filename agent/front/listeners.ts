/** The addresses on which stubs call, with and without TLS. */
import { createServer as createHttpServer, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { INTERVALS, LIMITS } from '../../protocol/constants.ts';
import { Failure } from '../../protocol/failures.ts';
import type { Address } from '../config/address.ts';
import type { Config } from '../config/config.ts';
import { openDoors, type DoorParts } from './doors.ts';
import { createTlsServer, type readTls, type TlsServer } from './tls.ts';
import { cutVanished } from './vanished.ts';

/** A peer is asked by TCP whether it still exists, where neither side has sent anything for so long, in milliseconds. */
const KEEP_ALIVE = 30_000;
/** How long stubs may take to close their connections once the front stops. */
const STOP_PATIENCE = 3000;

/** A POST may last as long as a run; its headers may not. */
const OPTIONS = {
  maxHeaderSize: LIMITS.headers,
  headersTimeout: INTERVALS.handshake,
  /** Node's own 30 s would let a connection without headers live four times as long. */
  connectionsCheckingInterval: 1000,
  requestTimeout: 0,
  keepAlive: true,
};

export class Listeners {
  /** Where they listen. */
  readonly urls: string[] = [];
  readonly #servers: Server[] = [];
  readonly #tlsServers: TlsServer[] = [];
  readonly #sockets = { tls: new Set<Socket>(), plaintext: new Set<Socket>() };
  readonly #stopCutting = cutVanished(() => [...this.#sockets.tls, ...this.#sockets.plaintext]);

  /** Open connections. */
  get connections(): Record<string, number> {
    return { tls: this.#sockets.tls.size, plaintext: this.#sockets.plaintext.size };
  }

  /** @throws Failure, and then none of them listens */
  async open(config: Config, parts: DoorParts): Promise<void> {
    try {
      for (const address of config.listen.tls) {
        const server = createTlsServer(config, OPTIONS);
        this.#tlsServers.push(server);
        await this.#open('wss', server, address, parts);
      }
      for (const address of config.listen.plaintext) await this.#open('ws', createHttpServer(OPTIONS), address, parts);
    } catch (error) {
      for (const server of this.#servers) server.close();
      throw error;
    }
  }

  replaceCertificate(tls: ReturnType<typeof readTls>): void {
    for (const server of this.#tlsServers) server.setSecureContext(tls);
  }

  async stop(): Promise<void> {
    const closed = Promise.all(this.#servers.map((server) => new Promise((resolve) => server.close(resolve))));
    const impatient = setTimeout(() => {
      for (const sockets of Object.values(this.#sockets)) for (const socket of sockets) socket.destroy();
    }, STOP_PATIENCE);
    await closed;
    clearTimeout(impatient);
    this.#stopCutting();
  }

  async #open(scheme: 'wss' | 'ws', server: Server, address: Address, parts: DoorParts): Promise<void> {
    serve(server, parts);
    const sockets = this.#sockets[scheme === 'wss' ? 'tls' : 'plaintext'];
    server.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    });
    const { port } = await listen(server, address);
    this.#servers.push(server);
    this.urls.push(`${scheme}://${address.host.includes(':') ? `[${address.host}]` : address.host}:${port}`);
  }
}

function serve(server: Server, parts: DoorParts): void {
  server.on('connection', (socket: Socket) => {
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE);
    parts.lobby.enter(socket);
  });
  server.on('tlsClientError', (error: Error, socket: TLSSocket) => {
    parts.metrics.handshakeFailed();
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
