/** What a run printed: its end and what comes, one JSON object a line; or all of one stream, as a file. */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { z } from 'zod';
import { encodeStubMessage } from '../../protocol/messages.ts';
import { decodeAgentMessage, type AgentMessage, type Stream } from '../../protocol/records.ts';
import { callRunner } from '../wire/runner-api.ts';
import { CLOSE, type Connection } from '../wire/connection.ts';
import { dialRunner } from '../wire/dial.ts';

/** Of what a run has printed already, the page gets the end: so many bytes of each stream. */
const TAIL = 256 * 1024;
const ACCEPT = { frame: 64 * 1024, bulk: 2 };

const Sizes = z.object({ stdout: z.number(), stderr: z.number() });
type Sizes = z.output<typeof Sizes>;

/** Lines are `{"stream","data"}` with Base64, `{"skipped":{"stdout","stderr"}}` in bytes, and at last `{"outcome","code","message"}`. */
export async function sendOutput(response: ServerResponse, socket: string, run: string): Promise<void> {
  const sizes = await sizesOf(socket, run);
  const skipped = { stdout: Math.max(0, sizes.stdout - TAIL), stderr: Math.max(0, sizes.stderr - TAIL) };
  const line = (value: unknown): boolean => response.write(`${JSON.stringify(value)}\n`);
  await read({ response, socket, run, from: skipped, headers: { 'content-type': 'application/x-ndjson' } }, (message, connection) => {
    if (message.type === 'output') return line({ stream: message.stream, data: message.data.toString('base64') });
    if (message.type !== 'terminal') return true;
    connection.close(CLOSE.normal);
    return line({ outcome: message.outcome, code: message.code, message: message.message });
  });
  line({ skipped });
}

/** All that is there of one stream at this moment. */
export async function sendStream(response: ServerResponse, socket: string, run: string, stream: Stream): Promise<void> {
  const sizes = await sizesOf(socket, run);
  let left = sizes[stream];
  const headers = {
    'content-type': 'application/octet-stream',
    'content-length': left,
    'content-disposition': `attachment; filename="${run}.${stream}"`,
  };
  await read({ response, socket, run, from: { ...sizes, [stream]: 0 }, headers }, (message, connection) => {
    if (left === 0 || message.type === 'terminal') connection.close(CLOSE.normal);
    if (message.type !== 'output' || message.stream !== stream) return true;
    const data = message.data.subarray(0, left);
    left -= data.length;
    if (left === 0) connection.close(CLOSE.normal);
    return response.write(data);
  });
  if (left === 0) response.end();
}

async function sizesOf(socket: string, run: string): Promise<Sizes> {
  return Sizes.parse(await callRunner(socket, 'GET', `/v1/runs/${run}`));
}

interface Reading {
  response: ServerResponse;
  socket: string;
  run: string;
  from: Sizes;
  headers: Record<string, string | number>;
}

/** @param take returns whether the response takes more at once */
async function read(
  { response, socket, run, from, headers }: Reading,
  take: (message: AgentMessage, connection: Connection) => boolean,
): Promise<void> {
  const connection = await dialRunner(socket);
  response.once('close', () => connection.destroy());
  response.writeHead(200, { ...headers, 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
  connection.onMessage((data) => {
    if (response.writableEnded || take(decodeAgentMessage(data), connection)) return;
    connection.pause();
    void once(response, 'drain').then(() => connection.resume());
  });
  connection.onClose(() => response.end());
  connection.send(encodeStubMessage({ type: 'read', run, ...from, accept: ACCEPT }));
}
