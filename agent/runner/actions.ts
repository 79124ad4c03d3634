/** The actions of tasks: a script, a web request, a mail. Each ends as a result, never as an exception. */
import { randomBytes, randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { Failure } from '../../protocol/failures.ts';
import type { Config } from '../config/config.ts';
import { REPLY_LIMIT, checkReply } from '../hosts/reply.ts';
import type { TaskResult } from '../tasks/aggregate.ts';
import { sendMail, type Mail } from '../tasks/mail.ts';
import { taskPayload } from '../tasks/payload.ts';
import { isBefore, type Task } from '../tasks/task.ts';
import { sendWebRequest, type WebRequest } from '../tasks/web-request.ts';
import { readSecrets } from './environment.ts';
import type { Invocation } from './invocation.ts';
import type { Registry } from './registry.ts';
import { beginningOf, stdinFrom, type Spool, type Stdin } from './spool.ts';
import type { RunView } from './view.ts';

/** What came with the event. */
export interface EventInput {
  invocation: Invocation;
  stdin: Stdin;
  /** Check Point's JSON. */
  payload: Buffer | undefined;
}

export interface ActionParts {
  config: Config;
  registry: Registry;
  spool: Spool;
  submit: (invocation: Invocation) => Promise<RunView>;
  /** Aborted when the event's run is to end. */
  signal: AbortSignal;
}

/** The longest ticket that a web request or a mail carries. */
const TICKET_LIMIT = 1024 * 1024;

export async function performTask(task: Task, input: EventInput, parts: ActionParts): Promise<TaskResult> {
  const { 'run-script': script, 'send-web-request': web, 'send-mail': mail } = task.action;
  try {
    if (script !== undefined) return await runScript(task, script['repository-script'], script['time-out'], input, parts);
    if (web !== undefined) return await request(task, web, input, parts.signal);
    if (mail !== undefined) return await post(task, mail, input, parts.config);
    return { state: 'broken', message: 'the task has no action' };
  } catch (error) {
    return { state: 'broken', message: Failure.from(error).message };
  }
}

async function runScript(task: Task, script: string, timeOut: number, input: EventInput, parts: ActionParts): Promise<TaskResult> {
  const { invocation, payload } = input;
  const given =
    payload === undefined ? await copyOf(input.stdin, parts.spool) : stdinFrom(Buffer.from(taskPayload(payload, {}, task['custom-data'])));
  const called = {
    ...invocation,
    token: randomBytes(16).toString('hex'),
    script,
    args: payload === undefined ? invocation.args : [],
    patience: Math.min(timeOut * 1000, invocation.patience ?? Infinity),
    stdin: given,
    extra: { MEDIATOR_TASK: task.name, MEDIATOR_CUSTOM_DATA: JSON.stringify(task['custom-data']) },
  };
  const view = await parts.submit(called).finally(() => {
    if (given.file !== undefined) rmSync(given.file, { force: true }); // still there if the run was refused, or joined
  });
  const cancel = (): void => parts.registry.liveById(view.id)?.end({ outcome: 'cancelled', message: 'the run of its event was ended' });
  parts.signal.addEventListener('abort', cancel, { once: true });
  await untilEnded(view);
  parts.signal.removeEventListener('abort', cancel);
  return resultOf(view, task.trigger);
}

/** The spool takes the file of a run's stdin for its own; the next task needs it, too. */
async function copyOf(stdin: Stdin, spool: Spool): Promise<Stdin> {
  if (stdin.bytes !== undefined || stdin.file === undefined) return { ...stdin, file: undefined };
  const file = spool.incoming(randomUUID());
  await copyFile(stdin.file, file);
  return { ...stdin, file };
}

function resultOf(view: RunView, trigger: string): TaskResult {
  const { outcome = 'lost', code = 1, message = '' } = view.terminal ?? {};
  if (outcome !== 'exited') return { state: 'broken', message };
  if (!isBefore(trigger)) return code === 0 ? { state: 'succeeded' } : { state: 'failed', message: `the script exited with ${code}` };
  if (code !== 0) return { state: 'broken', message: message === '' ? `the script exited with ${code}` : message };
  const length = view.length('stdout');
  return verdictIn(view.read('stdout', 0, Math.min(length, REPLY_LIMIT + 1)));
}

async function request(task: Task, action: WebRequest, input: EventInput, signal: AbortSignal): Promise<TaskResult> {
  const { status, body } = await sendWebRequest(action, taskPayload(input.payload, aboutEvent(input), task['custom-data']), signal);
  if (!isBefore(task.trigger)) return status === 200 ? { state: 'succeeded' } : { state: 'failed', message: `HTTP ${status}` };
  if (status !== 200) return { state: 'broken', message: `HTTP ${status}` };
  return verdictIn(Buffer.from(body));
}

/** Whatever is not `failure` goes on, as Check Point does. */
function verdictIn(text: Buffer): TaskResult {
  const read = checkReply('before', text, false);
  if (!read.ok) return { state: 'broken', message: read.problem };
  if (read.answer?.type !== 'verdict' || read.answer.result !== 'failure') return { state: 'succeeded' };
  return { state: 'failed', message: read.answer.message ?? '' };
}

async function post(task: Task, mail: Mail, input: EventInput, config: Config): Promise<TaskResult> {
  const server = config.smtp[mail['smtp-server']];
  if (server === undefined) return { state: 'broken', message: `agent.yaml has no server "${mail['smtp-server']}" under smtp` };
  const credentials = config.credentials ?? process.env.CREDENTIALS_DIRECTORY;
  const password = server.password === undefined ? undefined : readSecrets(credentials, [server.password])[server.password];
  const json = taskPayload(input.payload, aboutEvent(input), task['custom-data']);
  await sendMail(mail, server, password, { filename: 'payload.json', content: Buffer.from(json) });
  return { state: 'succeeded' };
}

/** What a web request or a mail carries where the host sent no JSON: SecureChange's event, with the ticket as it came. */
function aboutEvent({ invocation, stdin }: EventInput): Record<string, unknown> {
  if (stdin.size > TICKET_LIMIT)
    throw new Error(`the ticket has ${stdin.size} bytes; a web request or a mail carries at most ${TICKET_LIMIT}`);
  const ticket = beginningOf(stdin, TICKET_LIMIT).toString();
  return { host: invocation.host, event: invocation.event, arguments: invocation.args, ticket };
}

function untilEnded(view: RunView): Promise<void> {
  return new Promise((resolve) => {
    if (view.terminal !== undefined) resolve();
    const unsubscribe = view.subscribe(() => {
      if (view.terminal === undefined) return;
      unsubscribe();
      resolve();
    });
  });
}
