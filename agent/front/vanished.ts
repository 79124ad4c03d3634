/**
 * Stubs that have vanished without a word, with their machine or their network. What we send them, a tick at the least, is never acknowledged. TCP repeats
 * it for a quarter of an hour, its keep-alive is not for connections with something on its way, and Node cannot set TCP_USER_TIMEOUT. So we ask the kernel
 * how often it has repeated. A stub that lives and does not read acknowledges all the same: it stays.
 */
import { readFile } from 'node:fs/promises';
import { isIPv4, type Socket } from 'node:net';

/** Between two looks, in milliseconds. */
const INTERVAL = 5000;
/**
 * In vain, after which a peer has vanished. Pauses double from 200 ms on: 25 s, as long as a stub waits for us; longer where the way is. tcp(7)
 */
const REPEATS = 7;
/** IPv6 ones hold IPv4 addresses, too, where a listener takes both. */
const TABLES = ['/proc/self/net/tcp', '/proc/self/net/tcp6'];
/** proc(5): number: local:port remote:port state queues timer repeats user probes … */
const ROW = /^ *\d+: [0-9A-F]+:([0-9A-F]{4}) ([0-9A-F]+):([0-9A-F]{4}) [0-9A-F]{2} \S+ \S+ ([0-9A-F]{8}) +\d+ +(\d+) /gm;

/** Cuts the connections of those who have vanished, until the returned function is called. */
export function cutVanished(sockets: () => Iterable<Socket>): () => void {
  const timer = setInterval(() => {
    void look([...sockets()]);
  }, INTERVAL).unref();
  return () => {
    clearInterval(timer);
  };
}

async function look(sockets: Socket[]): Promise<void> {
  if (sockets.length === 0) return;
  const vanished = new Set<string>();
  for (const table of TABLES) for (const peer of vanishedIn(await readFile(table, 'latin1').catch(() => ''))) vanished.add(peer);
  if (vanished.size === 0) return;
  for (const socket of sockets) if (vanished.has(nameOf(socket))) socket.destroy();
}

/** Of a table of the kernel: `local port, remote address, remote port`. */
export function vanishedIn(table: string): string[] {
  const rows = [...table.matchAll(ROW)].filter(
    ([, , , , repeats = '0', probes]) => Math.max(parseInt(repeats, 16), Number(probes)) >= REPEATS,
  );
  return rows.map(([, local = '', address = '', remote = '']) => `${parseInt(local, 16)} ${address} ${parseInt(remote, 16)}`);
}

function nameOf({ localPort, remoteAddress = '', remotePort }: Socket): string {
  return `${localPort} ${spelled(remoteAddress)} ${remotePort}`;
}

/** An address as the kernel's tables spell it: words of four bytes, each from its end. */
export function spelled(address: string): string {
  const bytes = isIPv4(address) ? address.split('.').map(Number) : bytesOf(address);
  const words = Array.from({ length: bytes.length / 4 }, (_, word) => bytes.slice(word * 4, word * 4 + 4).reverse());
  return Buffer.from(words.flat()).toString('hex').toUpperCase();
}

function bytesOf(address: string): number[] {
  const [head = '', tail] = (address.split('%')[0] ?? '').split('::');
  const [front, back] = [partsOf(head), partsOf(tail ?? '')];
  return [...front, ...new Array<number>(Math.max(0, 16 - front.length - back.length)).fill(0), ...back];
}

function partsOf(text: string): number[] {
  const parts = text.split(':').filter(Boolean);
  return parts.flatMap((part) => (isIPv4(part) ? part.split('.').map(Number) : [parseInt(part, 16) >> 8, parseInt(part, 16) & 255]));
}
