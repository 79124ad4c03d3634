/** SHA-256 in lower-case hex of what is in the spool. */
import { createHash, hash } from 'node:crypto';
import { open } from 'node:fs/promises';

export interface Measured {
  /** Bytes. */
  size: number;
  sha256: string;
}

/** Of no bytes at all. */
export const NOTHING: Measured = measure(Buffer.alloc(0));

/** Read at a time: large enough to be fast, small enough not to hold the event loop. */
const CHUNK = 256 * 1024;

export function measure(bytes: Buffer): Measured {
  return { size: bytes.length, sha256: hash('sha256', bytes) };
}

/** A file that does not exist is empty: the spool's come into being with their first byte. @throws a system error */
export async function measureFile(file: string): Promise<Measured> {
  const handle = await open(file).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (handle === undefined) return NOTHING;
  try {
    const digest = createHash('sha256');
    let size = 0;
    const buffer = Buffer.allocUnsafe(CHUNK);
    for (;;) {
      const { bytesRead } = await handle.read(buffer, 0, CHUNK, size);
      if (bytesRead === 0) return { size, sha256: digest.digest('hex') };
      digest.update(buffer.subarray(0, bytesRead));
      size += bytesRead;
    }
  } finally {
    await handle.close();
  }
}

/** What a run printed. `order`: the file that says in which order; undefined if a keeper of before kept it. */
export interface Totals {
  stdout: Measured;
  stderr: Measured;
  order?: Measured | undefined;
}

/** As the journal has them. */
export function totalsOf({ stdout, stderr, order }: Totals): {
  stdout: number;
  stdout_sha256: string;
  stderr: number;
  stderr_sha256: string;
  order_sha256: string | null;
} {
  return {
    stdout: stdout.size,
    stdout_sha256: stdout.sha256,
    stderr: stderr.size,
    stderr_sha256: stderr.sha256,
    order_sha256: order?.sha256 ?? null,
  };
}
