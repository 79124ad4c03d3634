/** A TCP proxy that counts, and cuts where it is told to. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

export interface Cut {
  /** Seen from the pod. */
  direction: 'up' | 'down';
  /** The bytes in that direction that still arrive. */
  after: number;
}

export interface Target {
  host: string;
  port: number;
}

export class Cutter {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #cuts: Cut[] = [];
  connections = 0;
  /** Bytes of all connections since `plan`. */
  readonly bytes = { up: 0, down: 0 };

  /** Listens where the target listens, on another port. */
  static async open({ host, port }: Target): Promise<Cutter> {
    const server = createServer();
    const cutter = new Cutter(server, { host, port });
    await once(server.listen(0, host), 'listening');
    return cutter;
  }

  constructor(server: Server, target: Target) {
    this.#server = server;
    server.on('connection', (stub) => {
      this.#join(stub, connect(target.port, target.host), this.#cuts.shift());
      this.connections += 1;
    });
  }

  get port(): number {
    return addressOf(this.#server).port;
  }

  /** The next connections are cut one after the other as the list says; those after them pass. */
  plan(...cuts: Cut[]): void {
    this.#cuts = cuts;
    this.connections = 0;
    Object.assign(this.bytes, { up: 0, down: 0 });
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #join(stub: Socket, agent: Socket, cut: Cut | undefined): void {
    for (const socket of [stub, agent]) {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => undefined); // 'close' follows
      socket.on('close', () => this.#sockets.delete(socket));
    }
    this.#pass('up', stub, agent, cut);
    this.#pass('down', agent, stub, cut);
  }

  #pass(direction: Cut['direction'], from: Socket, to: Socket, cut: Cut | undefined): void {
    let left = cut?.direction === direction ? cut.after : Infinity;
    from.on('data', (chunk: Buffer) => {
      const part = chunk.subarray(0, left);
      left -= chunk.length;
      this.bytes[direction] += part.length;
      if (left <= 0) {
        from.removeAllListeners('data').destroy();
        to.end(part, () => to.destroy());
      } else if (!to.write(part)) {
        from.pause();
        to.once('drain', () => from.resume());
      }
    });
    from.on('end', () => to.end());
    from.on('close', () => to.destroySoon());
  }
}

function addressOf(server: Server): AddressInfo {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server does not listen');
  return address;
}
