/** Puts a question through a stub, as often and as many times at once as the host would. */
import path from 'node:path';
import { callAsHost, type HostCalled } from '../../process/host-call.ts';
import type { Conclusion, Question, State } from './question.ts';

/** The stub in its folder, as the host has it. */
export interface Pod {
  stub: string;
  /** Milliseconds that the host waits. */
  patience: number;
  signal: AbortSignal;
  /** How many runs the journal has for a ticket; undefined if nobody can tell. */
  countRuns: (ticket: string) => Promise<number | undefined>;
}

/** One line of the report. */
export interface Asked {
  asked: string;
  state: State;
  concludes: string;
  why: string;
  /** Calls of the stub. */
  calls: number;
  /** Exit code of the last one; null if it had none. */
  exit: number | null;
  /** Of all calls together. */
  duration_ms: number;
  /** Bytes. */
  stdin: number;
  argument: number;
}

/** @param onTry is told before every further try */
export async function ask(question: Question, joins: boolean, pod: Pod, onTry: (number: number) => void): Promise<Asked> {
  const since = performance.now();
  const { calls, heard, conclusion } =
    question.callers > 1 ? await atOnce(question, joins, pod) : await untilItSucceeds(question, pod, onTry);
  const { args, stdin } = question.call;
  return {
    asked: question.name,
    ...conclusion,
    calls,
    exit: heard.code ?? null,
    duration_ms: Math.round(performance.now() - since),
    stdin: stdin?.length ?? 0,
    argument: args[0]?.length ?? 0,
  };
}

interface Result {
  calls: number;
  heard: HostCalled;
  conclusion: Conclusion;
}

async function untilItSucceeds(question: Question, pod: Pod, onTry: (number: number) => void): Promise<Result> {
  for (let calls = 1; ; calls += 1) {
    const heard = await call(question, pod);
    const conclusion = question.judge(heard);
    if (conclusion.state !== 'FAIL' || calls >= question.tries) return { calls, heard, conclusion: counted(conclusion, calls) };
    onTry(calls + 1);
  }
}

function counted(conclusion: Conclusion, calls: number): Conclusion {
  if (calls === 1) return conclusion;
  const { state, concludes } = conclusion;
  return state === 'FAIL'
    ? { ...conclusion, concludes: `${concludes}, ${calls} times; SecureChange gives up` }
    : { ...conclusion, state: 'warn', concludes: `${concludes} at try ${calls}` };
}

/** Identical calls at the same time. What joins its run must be one run, and all callers get the same. */
async function atOnce(question: Question, joins: boolean, pod: Pod): Promise<Result> {
  const count = (): Promise<number | undefined> => (question.ticket === '' ? Promise.resolve(undefined) : pod.countRuns(question.ticket));
  const earlier = await count();
  const all = await Promise.all(Array.from({ length: question.callers }, () => call(question, pod)));
  const [first] = all;
  if (first === undefined) throw new Error('nobody called');
  const judged = all.map((heard) => ({ heard, conclusion: question.judge(heard) }));
  const worst = judged.find(({ conclusion }) => conclusion.state === 'FAIL') ?? { heard: first, conclusion: question.judge(first) };
  const result = { calls: question.callers, heard: worst.heard };
  if (worst.conclusion.state === 'FAIL') return { ...result, conclusion: worst.conclusion };
  const later = await count();
  const runs = earlier === undefined || later === undefined ? undefined : later - earlier;
  return { ...result, conclusion: shared(worst.conclusion, all, joins, runs) };
}

function shared(conclusion: Conclusion, all: HostCalled[], joins: boolean, runs: number | undefined): Conclusion {
  if (!joins || runs === undefined)
    return { ...conclusion, concludes: `${conclusion.concludes}${runs === undefined ? '' : `, ${runs} runs`}` };
  if (runs !== 1) return { state: 'FAIL', concludes: `${runs} runs of one event`, why: 'a repeated event is to join its run' };
  const [first] = all;
  const same = all.every(
    ({ stdout, stderr, code }) => first?.stdout.equals(stdout) === true && first.stderr.equals(stderr) && first.code === code,
  );
  if (same) return { ...conclusion, concludes: `${conclusion.concludes}, one run for all` };
  return { state: 'FAIL', concludes: 'callers of one run got different output', why: '' };
}

function call({ call: { args, env, stdin } }: Question, { stub, patience, signal }: Pod): Promise<HostCalled> {
  // The clean environment of a pod: nothing of ours but the way to the programs.
  const environment = { PATH: process.env.PATH ?? '/usr/bin:/bin', ...env };
  return callAsHost({ file: 'bash', args: [stub, ...args], cwd: path.dirname(stub), env: environment, stdin, patience }, signal);
}
