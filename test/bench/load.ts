/** Load on a server: so many callers at once, each starting its next call when the last one has ended. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { WebSocket } from 'ws';
import { SUBPROTOCOL } from '../../protocol/constants.ts';
import { decodeAgentMessage } from '../../protocol/records.ts';
import type { TestAgent } from '../helpers/agent.ts';
import { authHeaders, startMessage } from '../helpers/stub.ts';

const MIB = 1024 * 1024;
/** As a stub that has dd. */
const ACCEPT = { frame: MIB, bulk: 2 };

export type Call = () => Promise<void>;

/** Calls a second. */
export async function rateOf(call: Call, concurrency: number, seconds: number): Promise<number> {
  const [from, until] = [performance.now(), performance.now() + seconds * 1000];
  let calls = 0;
  const caller = async (): Promise<void> => {
    while (performance.now() < until) {
      await call();
      calls += 1;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, caller));
  return (calls * 1000) / (performance.now() - from);
}

/** One invocation over the wire, to the terminal record and the acknowledgement. */
export function invocation(agent: TestAgent, script: string, { args = [], stdin }: { args?: string[]; stdin?: Buffer } = {}): Call {
  const url = `${agent.urls.ws}/v1/run`;
  return async () => {
    const ws = new WebSocket(url, [SUBPROTOCOL], { perMessageDeflate: false, headers: authHeaders(agent) });
    ws.once('open', () => {
      ws.send(JSON.stringify(startMessage({ script, args, accept: ACCEPT })));
      for (let from = 0; from < (stdin?.length ?? 0); from += MIB) ws.send(stdin?.subarray(from, from + MIB) ?? '', { binary: true });
      ws.send(JSON.stringify({ type: 'end', stdin: stdin?.length ?? 0 }));
    });
    let code: number | undefined;
    ws.on('message', (data: Buffer) => {
      const message = decodeAgentMessage(data);
      if (message.type !== 'terminal') return;
      code = message.outcome === 'exited' ? message.code : -1;
      ws.send(JSON.stringify({ type: 'ack' }));
    });
    await once(ws, 'close');
    if (code !== 0) throw new Error(`a call ended with ${code}`);
  };
}

/** A connection to websocketd, until it closes because the program has ended. */
export function socketCall(url: string): Call {
  return async () => {
    const ws = new WebSocket(url, { perMessageDeflate: false });
    ws.on('message', () => undefined);
    await once(ws, 'close');
  };
}

/** A request to a hook, on a connection of its own as `curl` makes it. */
export function hookCall(url: string): Call {
  return async () => {
    const call = request(url, { agent: false });
    call.end();
    const response: unknown[] = await once(call, 'response');
    const [message] = response;
    if (!isStream(message)) throw new Error('no response');
    message.resume();
    await once(message, 'end');
  };
}

function isStream(value: unknown): value is NodeJS.ReadableStream {
  return typeof value === 'object' && value !== null && 'resume' in value;
}

/** What every other way is measured against: a bare start with pipes, and nothing else. */
export function spawnTrue(): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('/bin/true', { stdio: 'pipe' });
    child.stdin.end();
    child.stdout.resume();
    child.stderr.resume();
    child.once('error', reject);
    child.once('close', () => {
      resolve();
    });
  });
}
