/** What a bench cleans up after itself: processes that it started, folders that it made. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import path from 'node:path';
import { newFolder } from '../helpers/folder.ts';
import { soon, until } from '../helpers/wait.ts';

export class Workplace implements AsyncDisposable {
  readonly folder = newFolder();
  readonly #closers: (() => Promise<unknown>)[] = [];

  /** A server of somebody else: started, and awaited on its port. */
  async server(command: string[], port: number): Promise<void> {
    const [file = '', ...args] = command;
    const child = spawn(file, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.atEnd(() => stop(child));
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-2000)));
    await until(`${file} listens`, async () => {
      if (child.exitCode !== null) throw new Error(`${file} ended with ${child.exitCode}: ${said}`);
      return accepts(port);
    });
  }

  /** Is called in the end, before the folder is removed; the last one first. */
  atEnd(close: () => Promise<unknown>): void {
    this.#closers.unshift(close);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const close of this.#closers) await close();
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await soon('the end of a server', once(child, 'exit'));
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** The path of a program, or undefined if this machine does not have it. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/sbin'];
  return folders.map((folder) => path.join(folder, name)).find((file) => existsSync(file));
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  const answer = await Promise.race([once(socket, 'connect').then(() => true), once(socket, 'error').then(() => false)]).catch(() => false);
  socket.destroy();
  return answer;
}
