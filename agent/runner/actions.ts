/** The actions of tasks: a script, a web request, a mail. Each ends as a result, never as an exception. */
import { randomBytes } from 'node:crypto';
import { Failure } from '../../protocol/failures.ts';
import type { Config } from '../config/config.ts';
import type { TaskResult } from '../tasks/aggregate.ts';
import { readVerdict } from '../tasks/aggregate.ts';
import { sendMail, type Mail } from '../tasks/mail.ts';
import { taskPayload } from '../tasks/payload.ts';
import { isBefore, type Task } from '../tasks/task.ts';
import { sendWebRequest, type WebRequest } from '../tasks/web-request.ts';
import { readSecrets } from './environment.ts';
import type { Invocation } from './invocation.ts';
import type { Registry } from './registry.ts';
import { stdinFrom } from './spool.ts';
import type { RunView } from './view.ts';

/** What came with the event. */
export interface EventInput {
  invocation: Invocation;
  stdin: Buffer;
  /** Check Point's JSON. */
  payload: Buffer | undefined;
}

export interface ActionParts {
  config: Config;
  registry: Registry;
  submit: (invocation: Invocation) => Promise<RunView>;
  /** Aborted when the event's run is to end. */
  signal: AbortSignal;
}

/** The longest output in which a verdict is looked for. */
const VERDICT_LIMIT = 64 * 1024;

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
  const bytes = payload === undefined ? input.stdin : Buffer.from(taskPayload(payload, {}, task['custom-data']));
  const view = await parts.submit({
    ...invocation,
    token: randomBytes(16).toString('hex'),
    script,
    args: payload === undefined ? invocation.args : [],
    patience: Math.min(timeOut * 1000, invocation.patience ?? Infinity),
    stdin: stdinFrom(bytes),
    extra: { MEDIATOR_TASK: task.name, MEDIATOR_CUSTOM_DATA: JSON.stringify(task['custom-data']) },
  });
  const cancel = (): void => parts.registry.liveById(view.id)?.end({ outcome: 'cancelled', message: 'the run of its event was ended' });
  parts.signal.addEventListener('abort', cancel, { once: true });
  await untilEnded(view);
  parts.signal.removeEventListener('abort', cancel);
  return resultOf(view, task.trigger);
}

function resultOf(view: RunView, trigger: string): TaskResult {
  const { outcome = 'lost', code = 1, message = '' } = view.terminal ?? {};
  if (outcome !== 'exited') return { state: 'broken', message };
  if (!isBefore(trigger)) return code === 0 ? { state: 'succeeded' } : { state: 'failed', message: `the script exited with ${code}` };
  if (code !== 0) return { state: 'broken', message: message === '' ? `the script exited with ${code}` : message };
  const length = view.length('stdout');
  const verdict = length === 0 || length > VERDICT_LIMIT ? undefined : readVerdict(view.read('stdout', 0, length).toString());
  return verdict ?? { state: 'broken', message: 'the script printed no verdict' };
}

async function request(task: Task, action: WebRequest, input: EventInput, signal: AbortSignal): Promise<TaskResult> {
  const { status, body } = await sendWebRequest(action, taskPayload(input.payload, aboutEvent(input), task['custom-data']), signal);
  if (!isBefore(task.trigger)) return status === 200 ? { state: 'succeeded' } : { state: 'failed', message: `HTTP ${status}` };
  if (status !== 200) return { state: 'broken', message: `HTTP ${status}` };
  return readVerdict(body) ?? { state: 'broken', message: 'the server answered without a verdict' };
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
  return { host: invocation.host, event: invocation.event, arguments: invocation.args, ticket: stdin.toString() };
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
