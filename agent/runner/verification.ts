/** Compares the spool with the journal, and the journal with itself. Needs no running agent, and does not ask one. */
import path from 'node:path';
import { Failure } from '../../protocol/failures.ts';
import { Audit } from '../journal/audit.ts';
import type { Head } from '../journal/chain.ts';
import type { JournalRow } from '../journal/row.ts';
import { measureFile } from '../keeper/digest.ts';
import { isOrderOf, namedIn } from '../keeper/order-file.ts';

export interface Mismatch {
  /** Empty if it is no run's. */
  run: string;
  what: 'stdin' | 'stdout' | 'stderr' | 'order' | 'journal';
  message: string;
}

export interface Verified {
  /** Runs that have ended. */
  runs: number;
  /** Of them, those whose output retention has removed: only their rows were verified. */
  removed: number;
  /** Runs that go on; they are verified when they have ended. */
  open: number;
  mismatches: number;
  /** The end of the chain. */
  head: Head;
}

const STREAMS = ['stdin', 'stdout', 'stderr'] as const;

/**
 * @param state the state folder
 * @param anchor a place in the chain and its link, from the log or from an earlier verification
 * @param onMismatch told of each as it is found
 * @throws Failure if there is no journal
 */
export async function verify(state: string, anchor: Head | undefined, onMismatch: (mismatch: Mismatch) => void): Promise<Verified> {
  const audit = new Audit(path.join(state, 'journal.db'));
  try {
    const result: Verified = { runs: 0, removed: 0, open: audit.open, mismatches: 0, head: { seq: 0, link: '' } };
    const found = (run: string, what: Mismatch['what'], message: string): void => {
      result.mismatches += 1;
      onMismatch({ run, what, message });
    };
    const onUnreadable = (id: string): void => {
      result.runs += 1;
      found(id, 'journal', 'its row is none that an agent writes');
    };
    let anchored = anchor === undefined || isSame(anchor, audit.beginning);
    for (const { row, expected } of audit.chain(onUnreadable)) {
      result.runs += 1;
      result.head = { seq: row.seq ?? 0, link: row.link ?? '' };
      if (expected === undefined) found(row.id, 'journal', 'runs that ended before it are missing from the journal');
      else if (expected !== row.link) found(row.id, 'journal', 'its row is not the one that was written when it ended');
      anchored ||= isSame(anchor, result.head);
      if (row.removed !== null) result.removed += 1;
      for (const [what, message] of await compare(path.join(state, 'spool', row.id), row, audit)) found(row.id, what, message);
    }
    for (const id of audit.strangers()) found(id, 'journal', 'it has an outcome that no agent wrote');
    if (!anchored) found('', 'journal', `the chain has no place ${anchor?.seq ?? 0} with the link that was given`);
    return result;
  } finally {
    audit.close();
  }
}

function isSame(a: Head | undefined, b: Head): boolean {
  return a?.seq === b.seq && a.link === b.link;
}

async function compare(folder: string, row: JournalRow, audit: Audit): Promise<[Mismatch['what'], string][]> {
  const mismatches: [Mismatch['what'], string][] = [];
  if (row.removed !== null) return mismatches;
  for (const stream of STREAMS) {
    const message = await compareFile(path.join(folder, stream), { size: row[stream], sha256: row[`${stream}_sha256`] });
    if (message !== undefined) mismatches.push([stream, message]);
  }
  const order =
    row.order_sha256 === null ? compareOrder(folder, row) : await compareFile(path.join(folder, 'order'), { sha256: row.order_sha256 });
  if (order !== undefined) mismatches.push(['order', order]);
  if (mismatches.length === 0) return mismatches;
  const now = audit.byId(row.id); // retention may have been here in the meantime
  return now?.removed === null ? mismatches : [];
}

/** What is wrong with a file; undefined if nothing is. */
async function compareFile(file: string, expected: { size?: number; sha256: string }): Promise<string | undefined> {
  try {
    const { size, sha256 } = await measureFile(file);
    if (expected.size !== undefined && size !== expected.size) return `the spool has ${size} bytes, the journal says ${expected.size}`;
    if (sha256 === expected.sha256 || expected.sha256 === '') return undefined;
    return `the bytes in the spool are not those that were written: their SHA-256 is ${sha256}, the journal says ${expected.sha256}`;
  } catch (error) {
    return `its file in the spool cannot be read: ${Failure.from(error).message}`;
  }
}

/** The order of a run from before it had a hash: that it fits what was printed is all that can be said. */
function compareOrder(folder: string, row: JournalRow): string | undefined {
  try {
    const named = namedIn(folder);
    if (isOrderOf(named, row)) return undefined;
    return `the order of stdout and stderr names ${named.stdout} and ${named.stderr} bytes in ${named.size}; the run printed ${row.stdout} and ${row.stderr}`;
  } catch (error) {
    return `the order of stdout and stderr cannot be read: ${Failure.from(error).message}`;
  }
}
