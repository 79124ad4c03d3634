/** `simulate`: plays a host against the running agent, through a real stub, and tells what the host would have concluded. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { z } from 'zod';
import type { Config } from '../../config/config.ts';
import type { Kind } from '../../config/kinds.ts';
import { callRunner } from '../../wire/runner-api.ts';
import { stubText } from '../stub.ts';
import { ask, type Pod } from './ask.ts';
import { questionsOfCheckPoint } from './checkpoint.ts';
import { isBefore } from './payloads.ts';
import type { Question, Subject, Wishes } from './question.ts';
import { createReport, type Report } from './report.ts';
import { questionsOfSecureChange } from './securechange.ts';
import { EVENT, subjectsOf } from './subjects.ts';

export interface SimulateOptions extends Wishes {
  script: string | undefined;
  /** The events themselves are called, and no script. */
  tasks: boolean;
  kind: Kind | undefined;
  url: string | undefined;
  key: string | undefined;
  plaintext: boolean;
  json: boolean;
  /** Milliseconds. */
  patience: number;
}

/** A host, as far as it differs from the other. */
const HOSTS = {
  securechange: questionsOfSecureChange,
  checkpoint: questionsOfCheckPoint,
};

/** Resolves with the exit code: 0 if everything that the host asked got a proper conclusion. */
export async function simulate(config: Config, host: keyof typeof HOSTS, options: SimulateOptions): Promise<number> {
  const subjects = options.tasks ? [EVENT] : await subjectsOf(config, host, options.script, options.kind);
  const asks = subjects.flatMap((subject) => HOSTS[host](subject, options).map((question) => ({ subject, question })));
  const folder = mkdtempSync(path.join(tmpdir(), 'mediator-simulate-'));
  const interrupted = new AbortController();
  const interrupt = (): void => {
    interrupted.abort();
  };
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  try {
    const report = createReport(options.json);
    for (const [index, { subject, question }] of asks.entries()) {
      report.begin(titleOf(subject), question.name, index + 1, asks.length);
      const stub = await writeStub(folder, config, host, options, subject, question);
      const pod = {
        stub,
        patience: options.patience,
        signal: interrupted.signal,
        countRuns: (ticket: string) => countRuns(config, ticket),
      };
      await put(question, subject, host, pod, report);
    }
    return report.finish();
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** As in the table. */
function titleOf({ script }: Subject): string {
  return script ?? 'tasks';
}

async function put(question: Question, subject: Subject, host: string, pod: Pod, report: Report): Promise<void> {
  const asked = await ask(question, subject.joins, pod, (number) => {
    report.again(number);
  });
  report.end({ host, script: titleOf(subject), ...asked });
}

/** The file that would be pushed. Only where a verdict is due does the stub stand in for an agent that cannot be reached. */
async function writeStub(
  folder: string,
  config: Config,
  host: keyof typeof HOSTS,
  { url, key, plaintext, failOpen }: SimulateOptions,
  { script }: Subject,
  { trigger }: Question,
): Promise<string> {
  const verdict = host === 'checkpoint' && isBefore(trigger);
  const file = path.join(folder, `${(script ?? trigger).replaceAll('/', '%')}${verdict ? '-before' : ''}.sh`);
  if (existsSync(file)) return file;
  const text = await stubText(config, {
    host,
    ...(script === undefined ? { event: trigger } : { script }),
    ...(url === undefined ? {} : { url }),
    ...(key === undefined ? {} : { key }),
    plaintext,
    failOpen: verdict && failOpen,
    failClosed: verdict && !failOpen,
  });
  writeFileSync(file, text, { mode: 0o700 });
  return file;
}

const Runs = z.object({ runs: z.array(z.unknown()) });

/** undefined: the agent's journal cannot be asked. */
async function countRuns({ socket }: Config, ticket: string): Promise<number | undefined> {
  try {
    return Runs.parse(await callRunner(socket, 'GET', `/v1/runs?ticket=${ticket}&limit=10000`)).runs.length;
  } catch {
    return undefined;
  }
}

/** @throws a system error that names the file */
export function readInput(file: string | undefined): Buffer | undefined {
  return file === undefined ? undefined : readFileSync(file);
}
