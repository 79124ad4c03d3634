/** What a host makes of the way a call ended: the exit code, the answer on stdout, and nothing else. */
import { KINDS, type Kind } from '../../config/kinds.ts';
import type { Answer } from '../../hosts/answers.ts';
import { withoutResult } from '../../hosts/draft.ts';
import { checkReply } from '../../hosts/reply.ts';
import type { HostCalled } from '../../process/host-call.ts';
import type { Conclusion } from './question.ts';

/** Most characters of a line of stderr. */
const WHY = 300;

/** Kinds whose answer is the exit code, and the Test button. */
export function judgeExit(what: string) {
  return (heard: HostCalled): Conclusion => {
    const broken = brokenOff(heard);
    if (broken !== undefined) return fail(heard, broken);
    if (heard.code !== 0) return fail(heard, `${what} failed: exit code ${heard.code ?? '?'}`);
    return stoodIn(heard) ?? { state: 'ok', concludes: `${what} succeeded`, why: notices(heard) };
  };
}

/** Kinds whose answer is XML on stdout. @param input each access request of a draft needs a result of its own */
export function judgeAnswer(kind: Kind, input: Buffer) {
  return (heard: HostCalled): Conclusion => {
    const broken = brokenOff(heard);
    if (broken !== undefined) return fail(heard, broken);
    if (heard.code !== 0) return fail(heard, `no answer: exit code ${heard.code ?? '?'}`);
    const checked = checkReply(kind, heard.stdout, false);
    if (!checked.ok) return { state: 'FAIL', concludes: checked.problem, why: lastWords(heard) };
    const missing = withoutResult(checked.answer, input);
    if (missing.length > 0) return fail(heard, `no risk result for ${missing.length} of the access requests`);
    return stoodIn(heard) ?? { state: 'ok', concludes: inWords(checked.answer), why: notices(heard) };
  };
}

/** Check Point, a trigger that begins with Before. */
export function judgeBefore(failOpen: boolean) {
  const notRun = (heard: HostCalled, problem: string): Conclusion =>
    fail(heard, `${problem}: a failure to run, so the operation ${failOpen ? 'goes on' : 'is aborted'} (fail-open: ${failOpen})`);
  return (heard: HostCalled): Conclusion => {
    const broken = brokenOff(heard);
    if (heard.ended === 'too-long') return unasked();
    if (broken !== undefined) return notRun(heard, broken);
    if (heard.code !== 0) return notRun(heard, `exit code ${heard.code ?? '?'}`);
    const checked = checkReply('before', heard.stdout, false);
    if (!checked.ok) return notRun(heard, checked.problem);
    if (checked.warning !== undefined) return { state: 'warn', concludes: 'the operation goes on', why: checked.warning };
    return (
      stoodIn(heard, aborts(checked.answer) ? 'the operation is aborted' : 'the operation goes on') ?? {
        state: 'ok',
        concludes: inWords(checked.answer),
        why: notices(heard),
      }
    );
  };
}

/** Check Point, every other trigger. */
export function judgeAfter(heard: HostCalled): Conclusion {
  return heard.ended === 'too-long' ? unasked() : judgeExit('the task')(heard);
}

function brokenOff({ ended }: HostCalled): string | undefined {
  if (ended === 'timed-out') return 'no end in time';
  return ended === 'signaled' ? 'the stub was ended by a signal' : undefined;
}

function fail(heard: HostCalled, concludes: string): Conclusion {
  return { state: 'FAIL', concludes, why: lastWords(heard) };
}

function unasked(): Conclusion {
  const why =
    'Linux passes at most 131,071 bytes in one argument, also to a script in place; use a web request to /v1/smart-tasks/NAME, and "payload: file" in the manifest';
  return { state: 'unasked', concludes: 'the payload cannot be passed as an argument', why };
}

/** The host got an answer, but not the script's own: somebody said that fail-open decides. */
function stoodIn(heard: HostCalled, answer = 'the operation goes on'): Conclusion | undefined {
  const why = notices(heard);
  if (why === '' || !(/fail-open: (true|false) demands/.test(why) || isStubsOwn(heard))) return undefined;
  return { state: 'FAIL', concludes: `${answer}, but the script gave no answer: fail-open decided`, why: lastWords(heard) };
}

/** The stub itself printed the verdict: all that it says on stderr then is why. */
function isStubsOwn({ stdout, stderr }: HostCalled): boolean {
  const verdict = stdout.toString();
  return (
    stderr.toString().startsWith('mediator: ') &&
    (verdict === '{"result":"success"}\n' || verdict.startsWith('{"result":"failure","message":"mediator: '))
  );
}

function inWords(answer: Answer | undefined): string {
  switch (answer?.type) {
    case 'condition':
      return `the condition is ${answer.value}`;
    case 'tasks':
      return answer.names.length === 0 ? 'no tasks: all to the default one' : `tasks: ${answer.names.join(', ')}`;
    case 'risk':
      return `risk: ${answer.results.map(({ status }) => status).join(', ')}`;
    case 'verdict':
      if (answer.result !== 'failure') return 'the operation goes on';
      return `the operation is aborted${answer.message === undefined ? '' : `: ${answer.message}`}`;
    case undefined:
      return 'answered';
  }
}

function aborts(answer: Answer | undefined): boolean {
  return answer?.type === 'verdict' && answer.result === 'failure';
}

/** What stub and agent said on stderr. */
function notices({ stderr }: HostCalled): string {
  return linesOf(stderr)
    .filter((line) => line.startsWith('mediator: '))
    .join(' | ');
}

/** What stub and agent said, and the end of what the script said. */
function lastWords({ stderr }: HostCalled): string {
  const lines = linesOf(stderr);
  const own = lines.filter((line) => !line.startsWith('mediator: ')).slice(-3);
  return [...lines.filter((line) => !own.includes(line) && line.startsWith('mediator: ')), ...own].join(' | ');
}

function linesOf(stderr: Buffer): string[] {
  return stderr
    .toString()
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => line.slice(0, WHY));
}

/** Whether the answer of a kind is on stdout. */
export function answersByExit(kind: Kind): boolean {
  return KINDS[kind].answer === 'exit';
}
