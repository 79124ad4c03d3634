/** A run's output as it comes: one JSON object a line, until the run has ended. */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { z } from 'zod';
import { encodeStubMessage } from '../../protocol/messages.ts';
import { decodeAgentMessage } from '../../protocol/records.ts';
import { callRunner } from '../wire/runner-api.ts';
import { CLOSE } from '../wire/connection.ts';
import { dialRunner } from '../wire/dial.ts';

/** Of what a run has printed already, the page gets the end: so many bytes of each stream. */
const TAIL = 256 * 1024;
const ACCEPT = { frame: 64 * 1024, bulk: 2 };

const Sizes = z.object({ stdout: z.number(), stderr: z.number() });

/** Lines are `{"stream","data"}` with Base64, `{"skipped":{"stdout","stderr"}}` in bytes, and at last `{"outcome","code","message"}`. */
export async function sendOutput(response: ServerResponse, socket: string, run: string): Promise<void> {
  const sizes = Sizes.parse(await callRunner(socket, 'GET', `/v1/runs/${run}`));
  const skipped = { stdout: Math.max(0, sizes.stdout - TAIL), stderr: Math.max(0, sizes.stderr - TAIL) };
  const connection = await dialRunner(socket);
  response.once('close', () => connection.destroy());
  response.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
  const line = (value: unknown): boolean => response.write(`${JSON.stringify(value)}\n`);
  line({ skipped });
  connection.onMessage((data) => {
    const message = decodeAgentMessage(data);
    if (message.type === 'terminal') {
      line({ outcome: message.outcome, code: message.code, message: message.message });
      connection.close(CLOSE.normal);
    } else if (message.type === 'output' && !line({ stream: message.stream, data: message.data.toString('base64') })) {
      connection.pause();
      void once(response, 'drain').then(() => connection.resume());
    }
  });
  connection.onClose(() => response.end());
  connection.send(encodeStubMessage({ type: 'read', run, ...skipped, accept: ACCEPT }));
}
