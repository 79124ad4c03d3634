/** `POST /v1/smart-tasks/NAME`: a Check Point SmartTask's web request. The script gets the body as Base64, Check Point gets the verdict or a status. */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Failure, exitCodeOf } from '../../protocol/failures.ts';
import { encodeStubMessage, type Accept, type Call, type Caller } from '../../protocol/messages.ts';
import { decodeAgentMessage, type Terminal } from '../../protocol/records.ts';
import { INTERVALS, LIMITS } from '../../protocol/constants.ts';
import { checkGrant, type Key } from '../config/keys.ts';
import { CLOSE, type Connection } from '../wire/connection.ts';
import type { Upstream } from './upstream.ts';

export const SMART_TASKS = '/v1/smart-tasks/';

/** Payloads of SmartTasks are change lists; one of this size has more changes than anybody publishes. */
const BODY_LIMIT = 16 * LIMITS.message;
/** The longest output that is looked at for a verdict. */
const VERDICT_LIMIT = 64 * 1024;
const ACCEPT: Accept = { frame: 64 * 1024, bulk: 2 };

/** @throws Failure if the script may not be called, or the body is not JSON */
export async function answerSmartTask(
  request: IncomingMessage,
  response: ServerResponse,
  { key, caller, call }: { key: Key; caller: Caller; call: Call },
  upstream: Upstream,
): Promise<void> {
  checkGrant(key, call);
  const body = await readBody(request);
  checkJson(body);
  const connection = await upstream.dial();
  response.once('close', () => connection.destroy()); // a caller that does not wait any longer; the run goes on by itself
  const result = collect(connection);
  const { script, host } = call;
  const start = { token: randomBytes(16).toString('hex'), script, host, args: [], env: {}, accept: ACCEPT, stub: 'web-request', bash: '' };
  connection.send(encodeStubMessage({ type: 'start', ...start, ...(upstream.trusting ? { caller } : {}) }));
  for (let from = 0; from < body.length; from += LIMITS.message) connection.send(body.subarray(from, from + LIMITS.message));
  connection.send(encodeStubMessage({ type: 'end', stdin: body.length }));
  const { terminal, stdout } = await result;
  reply(response, terminal, stdout);
}

/** What a web request calls. @throws Failure `invalid-name` */
export function smartTaskCall(url: string): Call {
  try {
    return { script: decodeURIComponent(url.slice(SMART_TASKS.length)), host: 'checkpoint', event: '' };
  } catch (cause) {
    throw new Failure('invalid-name', 'the name of the script in the URL is not UTF-8 with percent encoding', { cause });
  }
}

function readBody(request: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= BODY_LIMIT) chunks.push(chunk);
      else reject(new Failure('request-too-large', `the body is longer than ${BODY_LIMIT} bytes`));
    });
    request.once('end', () => {
      resolve(Buffer.concat(chunks));
    });
    request.once('close', () => {
      reject(new Failure('bad-request', 'the body did not arrive'));
    });
    request.setTimeout(INTERVALS.uploading, () => request.destroy());
  });
}

function checkJson(body: Buffer): void {
  const first = body.toString('latin1', 0, 64).trimStart()[0];
  if (first !== '{') throw new Failure('bad-request', 'the body is not a JSON object, as Check Point sends it');
}

function collect(connection: Connection): Promise<{ terminal: Terminal; stdout: string }> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    connection.onMessage((data) => {
      const message = decodeAgentMessage(data);
      if (message.type === 'output' && message.stream === 'stdout' && size <= VERDICT_LIMIT) {
        chunks.push(message.data);
        size += message.data.length;
      } else if (message.type === 'terminal') {
        resolve({ terminal: message, stdout: size > VERDICT_LIMIT ? '' : Buffer.concat(chunks).toString() });
        connection.send(encodeStubMessage({ type: 'ack' }));
        connection.close(CLOSE.normal);
      }
    });
    connection.onClose(() => {
      reject(new Failure('runner-away', 'the runner went away before the run ended'));
    });
  });
}

/** HTTP statuses by the exit code of a failure. */
const STATUSES: Record<number, number> = { 64: 413, 75: 503, 77: 403, 78: 400, 127: 404 };

/** The status for what was refused before a run began. */
export function smartTaskStatus({ code }: Failure): number {
  return code === 'unauthorized' ? 401 : (STATUSES[exitCodeOf(code)] ?? 500);
}

/**
 * 200 if the script exited with 0, and what it printed if that is an object: a verdict of our own would take the decision out of the SmartTask's
 * fail-open. Otherwise 500, or 503 for "try later".
 */
function reply(response: ServerResponse, { outcome, code, message }: Terminal, stdout: string): void {
  const verdict = isObject(stdout) ? stdout : JSON.stringify(code === 0 ? {} : { result: 'failure', message });
  const status = code === 0 ? 200 : outcome === 'refused' ? (STATUSES[code] ?? 500) : 500;
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' }).end(verdict);
}

function isObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}
