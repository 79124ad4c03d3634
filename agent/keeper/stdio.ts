/** The three pipes of a script, our ends of them as streams. */
import { closeSync, createReadStream, openSync, readFileSync, readSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Pipe, Pipes } from '../process/pipes.ts';
import type { StartOrder } from './messages.ts';

/** More than a pipe can hold (1 MiB, pipe(7), /proc/sys/fs/pipe-max-size): what a script wrote before it exited is within it. */
const PIPE_MAX = 1024 * 1024;

/** As much as a pipe holds. One for all: what is read is in the spool before anything else is read. */
const BUFFER = Buffer.allocUnsafeSlow(64 * 1024);

/** A script's stdout or stderr, read as it comes. */
export class OutputPipe {
  readonly #fd: number;
  readonly #socket: Socket;
  readonly #write: (chunk: Buffer) => void;
  #settled = false;
  /** Resolves when nobody holds the other end any more. */
  readonly ended: Promise<void>;

  constructor(fd: number, write: (chunk: Buffer) => void) {
    this.#fd = fd;
    this.#write = write;
    const onread = { buffer: BUFFER, callback: (length: number) => this.#read(BUFFER.subarray(0, length)) };
    this.#socket = new Socket({ fd, readable: true, writable: false, onread });
    this.#socket.resume();
    this.#socket.on('error', () => undefined); // 'close' follows
    this.ended = new Promise((resolve) => this.#socket.once('close', () => resolve()));
  }

  /**
   * Takes what is in the pipe right now, and nothing later. Descendants that still hold the pipe are read on, so that they do not die of a full
   * or broken pipe, but what they write is nobody's.
   */
  settle(): void {
    if (!this.#socket.destroyed) this.#drain();
    this.#settled = true;
    this.#socket.unref();
  }

  /** Says whether to read on. */
  #read(chunk: Buffer): boolean {
    if (!this.#settled) this.#write(chunk);
    return true;
  }

  #drain(): void {
    try {
      for (let total = 0; total < PIPE_MAX;) {
        const count = readSync(this.#fd, BUFFER);
        if (count === 0) return;
        this.#write(BUFFER.subarray(0, count));
        total += count;
      }
    } catch {
      // EAGAIN: empty for now
    }
  }
}

/** A stdin that is not longer is written at once. */
const SMALL = 64 * 1024;

type Stdin = StartOrder['stdin'];

/** Descriptors for the child, and our ends. */
export interface Stdio {
  child: [number, number, number];
  /** Closes our copies of the child's ends, once it has them. */
  closeChildEnds: () => void;
  /** Closes everything, if the child was never started. */
  abandon: () => void;
  outputs: { stdout: number; stderr: number };
  /** Starts to feed stdin; the result stops it. */
  feed: () => () => void;
}

/** @throws Failure or a system error, and then nothing stays open */
export async function openStdio(pipes: Pipes, stdin: Stdin): Promise<Stdio> {
  const ours: number[] = [];
  const theirs: number[] = [];
  const closeChildEnds = (): void => {
    for (const fd of theirs.splice(0)) closeSync(fd);
  };
  const abandon = (): void => {
    closeChildEnds();
    for (const fd of ours.splice(0)) closeSync(fd);
  };
  const keep = ({ read, write }: Pipe, childEnd: 'read' | 'write'): Pipe => {
    theirs.push(childEnd === 'read' ? read : write);
    ours.push(childEnd === 'read' ? write : read);
    return { read, write };
  };
  try {
    const input = stdin === null ? undefined : keep(await pipes.inward(), 'read');
    if (input === undefined) theirs.push(openSync('/dev/null', 'r'));
    const stdout = keep(await pipes.outward(), 'write');
    const stderr = keep(await pipes.outward(), 'write');
    const [first = 0] = theirs;
    return {
      child: [first, stdout.write, stderr.write],
      closeChildEnds,
      abandon,
      outputs: { stdout: stdout.read, stderr: stderr.read },
      feed: () => feed(input, stdin),
    };
  } catch (error) {
    abandon();
    throw error;
  }
}

function feed(input: Pipe | undefined, stdin: Stdin): () => void {
  if (input === undefined || stdin === null) return () => undefined;
  const socket = new Socket({ fd: input.write, readable: false, writable: true });
  socket.on('error', () => undefined); // EPIPE: the script does not want to read more
  if (stdin.size <= SMALL) {
    socket.end(readFileSync(stdin.file));
  } else {
    const source = createReadStream(stdin.file, { highWaterMark: 256 * 1024 });
    source.on('error', () => socket.destroy());
    socket.once('close', () => source.destroy());
    source.pipe(socket);
  }
  return () => socket.destroy();
}
