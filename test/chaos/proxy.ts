/** A TCP proxy for one caller at a time. It cuts and stalls where the plan says, and hears what the agent accepts. */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Mishap } from './schedule.ts';

/** A whole unmasked frame of 27 bytes with the message `a`, as it looks over plaintext. */
const ACCEPTED = /\x82\x1ba([0-9A-HJKMNP-TV-Z]{26})/; // eslint-disable-line no-control-regex -- the header of a frame

export class Proxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #mishaps: (Mishap | undefined)[] = [];
  #onMishap: (kind: Mishap['kind']) => void = () => undefined;
  #onAccepted: (run: string) => void = () => undefined;

  static async open(target: number): Promise<Proxy> {
    const server = createServer();
    const proxy = new Proxy(server, target);
    await once(server.listen(0, '127.0.0.1'), 'listening');
    return proxy;
  }

  private constructor(server: Server, target: number) {
    this.#server = server;
    server.on('connection', (stub) => {
      this.#join(stub, connect(target, '127.0.0.1'), this.#mishaps.shift());
    });
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the proxy does not listen');
    return address.port;
  }

  /** Whether nothing is on its way any more, of whomever: a connection may stand still for longer than its caller lives. */
  get quiet(): boolean {
    return this.#sockets.size === 0;
  }

  /** The next connections suffer one each. */
  plan(mishaps: (Mishap | undefined)[], onMishap: (kind: Mishap['kind']) => void, onAccepted: (run: string) => void): void {
    this.#mishaps = [...mishaps];
    this.#onMishap = onMishap;
    this.#onAccepted = onAccepted;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #join(stub: Socket, agent: Socket, mishap: Mishap | undefined): void {
    for (const socket of [stub, agent]) {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => undefined); // 'close' follows
      socket.on('close', () => this.#sockets.delete(socket));
    }
    // Both belong to this invocation, even if a connection outlives it.
    const [onMishap, onAccepted] = [this.#onMishap, this.#onAccepted];
    const tap = (chunk: Buffer): void => {
      const run = ACCEPTED.exec(chunk.toString('latin1'))?.[1];
      if (run !== undefined) onAccepted(run);
    };
    pass(stub, agent, mishap?.direction === 'up' ? mishap : undefined, onMishap);
    pass(agent, stub, mishap?.direction === 'down' ? mishap : undefined, onMishap, tap);
  }
}

function pass(
  from: Socket,
  to: Socket,
  mishap: Mishap | undefined,
  onMishap: (kind: Mishap['kind']) => void,
  tap?: (chunk: Buffer) => void,
): void {
  let left = mishap?.after ?? Infinity;
  let stalled = false;
  from.on('data', (chunk: Buffer) => {
    const part = mishap?.kind === 'cut' ? chunk.subarray(0, Math.max(0, left)) : chunk;
    left -= chunk.length;
    if (mishap !== undefined && left <= 0 && mishap.kind === 'cut') {
      onMishap('cut');
      from.removeAllListeners('data').destroy();
      to.end(part, () => to.destroy());
      return;
    }
    tap?.(part);
    const ready = to.write(part);
    if (mishap !== undefined && left <= 0 && !stalled) {
      stalled = true;
      onMishap('stall');
      from.pause();
      setTimeout(() => from.resume(), mishap.pause);
    } else if (!ready) {
      from.pause();
      to.once('drain', () => from.resume());
    }
  });
  from.on('end', () => to.end());
  from.on('close', () => to.destroySoon());
}
