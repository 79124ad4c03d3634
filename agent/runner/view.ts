/** A run as its readers see it: two streams that grow, and an end. The same for a run that goes on and for one of last year. */
import { closeSync, openSync, readSync } from 'node:fs';
import path from 'node:path';
import { Failure } from '../../protocol/failures.ts';
import type { Stream, Terminal } from '../../protocol/records.ts';
import { EXIT_UNKNOWN, type Outcome } from '../../protocol/outcomes.ts';
import type { JournalRow } from '../journal/row.ts';
import type { Turns } from '../keeper/order-file.ts';

export interface RunView {
  /** ULID. */
  readonly id: string;
  /** Undefined while the run goes on. */
  readonly terminal: Terminal | undefined;
  /** Bytes of a stream so far. */
  length(stream: Stream): number;
  /** Up to `max` bytes of a stream from a position on; in `into`, unless they are in memory anyway. */
  read(stream: Stream, position: number, max: number, into?: Buffer): Buffer;
  /** In which order a reader shows the streams: as they were printed. Without it, stderr comes first, as callers get it. */
  turns?(): Turns;
  /** Calls back whenever a stream has grown or the run has ended, until the returned function is called. */
  subscribe(callback: () => void): () => void;
}

/**
 * A run that has ended, from the journal and its spool.
 * @param reply what callers get as stdout instead of the script's own, if anything
 */
export function archivedRun(folder: string, row: JournalRow, reply: Buffer | null): RunView {
  const { outcome, code, stderr, message } = row;
  const length = (stream: Stream): number => (stream === 'stdout' ? (reply?.length ?? row.stdout) : stderr);
  return {
    id: row.id,
    terminal: {
      outcome: outcomeForCaller(outcome ?? 'lost', code ?? EXIT_UNKNOWN),
      code: code ?? EXIT_UNKNOWN,
      stdout: length('stdout'),
      stderr,
      message,
    },
    length,
    read: (stream, position, max, into) => {
      if (stream === 'stdout' && reply !== null) return reply.subarray(position, position + max);
      if (row.removed !== null)
        throw new Failure('unknown-run', `the output of run ${row.id} is not kept any more (retention in agent.yaml)`);
      return readKept(row.id, path.join(folder, stream), { position, max: Math.min(max, length(stream) - position), into });
    },
    subscribe: () => () => undefined,
  };
}

/** What the spool has to have. @throws Failure `unknown-run` if it has lost it */
function readKept(id: string, file: string, { position, max, into }: { position: number; max: number; into: Buffer | undefined }): Buffer {
  const lost = (cause?: unknown): Failure =>
    new Failure('unknown-run', `output of run ${id} is lost from the spool; "mediator-agent runs verify" says what is missing`, { cause });
  try {
    const bytes = readSpool(file, position, max, into);
    if (bytes.length > 0 || max === 0) return bytes;
  } catch (cause) {
    throw lost(cause);
  }
  throw lost();
}

/**
 * The outcome as callers get it: an answer that stands in for the script's is as good as one (code 0), and the stub takes only `exited` for a
 * success. The journal keeps how the script itself ended.
 */
export function outcomeForCaller(outcome: Outcome, code: number): Outcome {
  return code === 0 ? 'exited' : outcome;
}

/** Opened for every read: readers come late and stay long, and hold no descriptor in the meantime. */
export function readSpool(file: string, position: number, max: number, into?: Buffer): Buffer {
  const buffer = into ?? Buffer.allocUnsafe(max);
  const fd = openSync(file, 'r');
  try {
    return buffer.subarray(0, readSync(fd, buffer, 0, max, position));
  } finally {
    closeSync(fd);
  }
}
