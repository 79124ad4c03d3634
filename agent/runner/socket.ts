/** The runner's Unix socket. */
import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import type { Server } from 'node:http';
import { connect } from 'node:net';
import path from 'node:path';
import { Failure } from '../../protocol/failures.ts';

/** Removes a socket that nobody listens on; a living runner keeps its own. */
export async function takeSocket(file: string): Promise<void> {
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  const alive = await new Promise<boolean>((resolve) => {
    const probe = connect(file);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => {
      resolve(false);
    });
  });
  if (alive) throw new Failure('internal', `another runner listens on ${file}; stop it first, or give this one a state folder of its own`);
  rmSync(file, { force: true });
}

export function listen(server: Server, file: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(file, () => {
      chmodSync(file, 0o660); // the front may be another user of our group; the folder keeps everybody else out
      resolve();
    });
  });
}
