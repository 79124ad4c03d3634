/** `runs verify`: is everything still there, and as it was written? */
import type { Config } from '../config/config.ts';
import { verify } from '../runner/verification.ts';
import { UsageError, printJsonLines } from './terminal.ts';

/** The exit code where something is not as it was written. */
const EXIT_MISMATCH = 1;

export interface VerifyOptions {
  /** `SEQ:LINK`, as the log and an earlier verification name it. */
  head?: string;
  json?: boolean;
}

/** With `json`, one object for each mismatch and one for the result. Resolves with the exit code. */
export async function verifyRuns({ state }: Config, { head, json }: VerifyOptions): Promise<number> {
  const result = await verify(state, head === undefined ? undefined : parseHead(head), (mismatch) => {
    if (json === true) printJsonLines([mismatch]);
    else process.stdout.write(`FAIL  ${mismatch.run} ${mismatch.what}: ${mismatch.message}\n`);
  });
  if (json === true) printJsonLines([result]);
  else process.stdout.write(sentence(result));
  return result.mismatches === 0 ? 0 : EXIT_MISMATCH;
}

function sentence({ runs, removed, open, mismatches, head }: Awaited<ReturnType<typeof verify>>): string {
  const kept = removed === 0 ? '' : `, of ${removed} only the row is kept`;
  const going = open === 0 ? '' : `, ${open} ${open === 1 ? 'goes' : 'go'} on`;
  const verdict = mismatches === 0 ? 'ok   ' : 'FAIL ';
  return `${verdict} ${counted(runs, 'run')}${kept}${going}; ${counted(mismatches, 'mismatch', 'es')}; the chain ends with ${head.seq}:${head.link}\n`;
}

function counted(count: number, what: string, ending = 's'): string {
  return `${count} ${what}${count === 1 ? '' : ending}`;
}

function parseHead(text: string): { seq: number; link: string } {
  const match = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text);
  if (match === null) throw new UsageError(`--head ${text}: is not SEQ:LINK, as "mediator-agent runs verify" prints it`);
  return { seq: Number(match[1]), link: match[2] ?? '' };
}
