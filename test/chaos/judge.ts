/** Compares what the ledger, the journal, the spool and the host know of one invocation. Pure; README.md defines the counts. */
import { createHash } from 'node:crypto';
import type { Seen } from './host.ts';
import type { Invocation, Slice } from './schedule.ts';
import type { Row, Trouble } from './world.ts';

export const FAULTS = ['lost', 'doubled', 'wrong_exits', 'wrong_bytes', 'orphans'] as const;
export type Fault = (typeof FAULTS)[number];

export interface Evidence {
  plan: Invocation;
  seen: Seen;
  /** The lines of its ledger. */
  ledger: string[];
  /** The runs of its event. */
  rows: Row[];
  /** Ids of all runs in the journal. */
  known: ReadonlySet<string>;
  troubles: Trouble[];
  pool: Buffer;
  spooled: (run: string, stream: 'stdout' | 'stderr') => Buffer;
}

export interface Finding {
  fault: Fault;
  what: string;
}

/** The stub's own codes: `nothing was started`, for different reasons. */
const REFUSALS = [69, 75, 77];
const UNKNOWN = 125;
/** The longest that a run can go on without its stub, in milliseconds. */
const OUTLIVES = 120_000;

interface Ledger {
  /** Ids of the runs that it saw. */
  started: string[];
  /** Size and hash as the script read it. */
  stdin: string | undefined;
  /** Code, and size and hash of each stream. */
  finished: string | undefined;
}

export function judge(evidence: Evidence): Finding[] {
  const { plan, seen, rows, known, pool } = evidence;
  const findings: Finding[] = [];
  const find = (fault: Fault, what: string): void => {
    findings.push({ fault, what });
  };
  const ledger = readLedger(evidence.ledger);
  const suffered = seen.suffered.length > 0;
  const during = (until: number): string[] =>
    evidence.troubles.filter(({ from, to }) => from < until && to > seen.from).map(({ kind }) => kind);
  const faulty = suffered || during(seen.to).length > 0;
  // A run may outlive its stub: one that suffered, or gave up because a part of the agent was away.
  const outlived = suffered || (faulty && seen.code === UNKNOWN);
  const troubled = during(outlived ? seen.to + OUTLIVES : seen.to);
  const stdout = cut(pool, plan.stdout);
  const stderr = cut(pool, plan.stderr);

  if (seen.hung) find('lost', 'the stub never came back');
  for (const run of new Set([...ledger.started, ...seen.accepted])) {
    if (!known.has(run)) find('lost', `run ${run} was accepted or started, and is not in the journal`);
  }
  for (let extra = 1; extra < ledger.started.length; extra += 1) find('doubled', `the script was started ${ledger.started.length} times`);
  for (let extra = 1; extra < rows.length; extra += 1) find('doubled', `there are ${rows.length} runs in the journal`);

  const [row] = rows;
  if (row !== undefined) judgeRow(evidence, row, ledger, troubled, faulty, find);
  if (seen.code !== null && !seen.hung) judgeCode(seen.code, row, ledger, faulty, plan, find);

  const wantedStdin = measure(cut(pool, plan.stdin));
  if (ledger.stdin !== undefined && ledger.stdin !== wantedStdin)
    find('wrong_bytes', `the script read ${ledger.stdin} as stdin instead of ${wantedStdin}`);
  if (ledger.finished !== undefined && ledger.finished !== `${plan.code} ${measure(stdout)} ${measure(stderr)}`) {
    find('wrong_bytes', `the script printed ${ledger.finished}`);
  }
  const whole = seen.code !== null && row?.outcome === 'exited' && seen.code === row.code;
  if (!isPart(seen.stdout, stdout, whole)) find('wrong_bytes', `the stub's stdout: ${difference(seen.stdout, stdout)}`);
  if (!isPart(withoutWords(seen.stderr, stderr), stderr, whole))
    find('wrong_bytes', `the stub's stderr: ${difference(seen.stderr, stderr)}`);
  return findings;
}

/** What the agent says of the run, beside what the script says. */
function judgeRow(
  { plan, spooled, pool }: Evidence,
  { id, outcome, code, ...sizes }: Row,
  ledger: Ledger,
  troubled: string[],
  faulty: boolean,
  find: (fault: Fault, what: string) => void,
): void {
  const finished = ledger.finished !== undefined;
  for (const stream of ['stdout', 'stderr'] as const) {
    const kept = spooled(id, stream);
    if (kept.length !== sizes[stream]) find('wrong_bytes', `the journal has ${sizes[stream]} bytes of ${stream}, the spool ${kept.length}`);
    if (!isPart(kept, cut(pool, plan[stream]), outcome === 'exited'))
      find('wrong_bytes', `the spool's ${stream}: ${difference(kept, cut(pool, plan[stream]))}`);
  }
  if (sizes.stdin !== plan.stdin.size) find('wrong_bytes', `the journal has ${sizes.stdin} bytes of stdin instead of ${plan.stdin.size}`);
  const endable = (plan.script === 'kill' && faulty) || troubled.includes('disk-full');
  switch (outcome) {
    case null:
      find('lost', `run ${id} has no outcome`);
      return;
    case 'exited':
      if (!finished || code !== plan.code)
        find('wrong_exits', `run ${id} exited with ${code}; the script ${finished ? `with ${plan.code}` : 'did not finish'}`);
      return;
    case 'refused':
      if (ledger.started.length > 0) find('wrong_exits', `run ${id} was refused, and the script was started`);
      return;
    case 'lost':
      if (!troubled.includes('kill-runner')) find('wrong_exits', `run ${id} is lost, and the runner was not killed`);
      return;
    case 'timed-out':
      if (plan.script !== 'hang') find('wrong_exits', `run ${id} timed out`);
      return;
    case 'cancelled':
      if (!endable) find('wrong_exits', `run ${id} was cancelled by nobody`);
      return;
    default:
      find('wrong_exits', `run ${id} ended as ${outcome}`);
  }
}

/** What the stub says, beside what the agent says. */
function judgeCode(
  code: number,
  row: Row | undefined,
  ledger: Ledger,
  faulty: boolean,
  plan: Invocation,
  find: (fault: Fault, what: string) => void,
): void {
  if (code === row?.code && (row.outcome !== 'exited' || ledger.finished !== undefined)) return;
  if (plan.signal !== undefined && code === 143) return; // it says that it was ended, which is true
  const told = `the stub exited with ${code}, the run ${row === undefined ? 'is not there' : `${row.outcome} with ${row.code}`}`;
  const nothingStarted = ledger.started.length === 0 && (row === undefined || row.outcome === 'refused');
  if (REFUSALS.includes(code) && !nothingStarted) find('wrong_exits', `${told}, and the script was started`);
  else if (![UNKNOWN, ...REFUSALS].includes(code)) find(row === undefined && code < 64 ? 'lost' : 'wrong_exits', told);
  else if (!faulty) find('wrong_exits', `${told}, and nothing had gone wrong`);
}

function readLedger(lines: string[]): Ledger {
  const of = (word: string): string[] => lines.filter((line) => line.startsWith(`${word} `)).map((line) => line.slice(word.length + 1));
  return { started: of('started'), stdin: of('stdin')[0], finished: of('finished')[0] };
}

function cut(pool: Buffer, { at, size }: Slice): Buffer {
  return pool.subarray(at, at + size);
}

function measure(bytes: Buffer): string {
  return `${bytes.length} ${createHash('sha256').update(bytes).digest('hex')}`;
}

function isPart(got: Buffer, wanted: Buffer, whole: boolean): boolean {
  return whole ? got.equals(wanted) : got.length <= wanted.length && got.equals(wanted.subarray(0, got.length));
}

/** stderr without the lines that the stub says itself, after what the script said. */
function withoutWords(stderr: Buffer, script: Buffer): Buffer {
  const words = stderr.indexOf('mediator: ');
  return words >= 0 && script.indexOf('mediator: ') < 0 ? stderr.subarray(0, words) : stderr;
}

function difference(got: Buffer, wanted: Buffer): string {
  const at = got.findIndex((byte, index) => byte !== wanted[index]);
  return `${got.length} bytes of ${wanted.length}${at < 0 ? '' : `, which differ from byte ${at} on`}`;
}
