/** `run`: a local invocation through the same API, with this terminal's stdin. */
import { randomBytes } from 'node:crypto';
import type { Config } from '../config/config.ts';
import { encodeStubMessage, type Start } from '../../protocol/messages.ts';
import { LIMITS } from '../../protocol/constants.ts';
import { matchesGlob } from '../config/glob.ts';
import type { Connection } from '../wire/connection.ts';
import { dialRunner } from '../wire/dial.ts';
import { callRunner } from '../wire/runner-api.ts';
import { ACCEPT, concludeWith, follow } from './follow.ts';

/** Resolves with the exit code. */
export function run(config: Config, script: string, args: string[], host: Start['host']): Promise<number> {
  return invoke(config, { script, args, host }, host !== 'checkpoint');
}

/** @param takesStdin whether this terminal's stdin belongs to the invocation */
export async function invoke(
  config: Config,
  what: Pick<Start, 'script' | 'event' | 'task' | 'args' | 'host'>,
  takesStdin: boolean,
): Promise<number> {
  const connection = await dialRunner(config.socket);
  let id: string | undefined;
  const cancel = (): void => {
    if (id === undefined) connection.destroy();
    else void callRunner(config.socket, 'POST', `/v1/runs/${id}/cancel`).catch(() => undefined);
  };
  process.once('SIGINT', cancel).once('SIGTERM', cancel);
  const end = follow(connection, { onAccepted: (run) => (id = run) });
  connection.send(
    encodeStubMessage({
      type: 'start',
      token: randomBytes(16).toString('hex'),
      ...what,
      env: forwarded(config.environment),
      accept: ACCEPT,
      stub: '',
      bash: '',
    }),
  );
  try {
    await Promise.race([upload(connection, takesStdin), end]); // a request that was refused needs no more of its stdin
    return concludeWith(await end);
  } finally {
    process.stdin.destroy();
  }
}

async function upload(connection: Connection, takesStdin: boolean): Promise<void> {
  let stdin = 0;
  if (!process.stdin.isTTY && takesStdin) {
    for await (const chunk of process.stdin) {
      const bytes = Buffer.from(chunk);
      for (let from = 0; from < bytes.length; from += LIMITS.message) connection.send(bytes.subarray(from, from + LIMITS.message));
      stdin += bytes.length;
      if (connection.congested) await new Promise<void>((resolve) => connection.onceDrained(resolve));
    }
  }
  connection.send(encodeStubMessage({ type: 'end', stdin }));
}

function forwarded(allowed: string[]): Record<string, string> {
  const entries = Object.entries(process.env).filter(([name]) => allowed.some((pattern) => matchesGlob(pattern, name)));
  return Object.fromEntries(entries.map(([name, value]) => [name, value ?? '']));
}
