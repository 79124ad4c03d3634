/** `serve`: front and runner as two processes, started and stopped in their order. `front` and `runner` are the same parts for systemd's two units. */
import { fileURLToPath } from 'node:url';
import type { Config } from '../config/config.ts';
import { startFront } from '../front/main.ts';
import { startPart, type Part } from '../process/execute.ts';
import { startRunner } from '../runner/main.ts';
import { UsageError } from './terminal.ts';

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));
/** Before a part that died is started again, in milliseconds. */
const RESTART_DELAY = 1000;

export async function serve(config: Config): Promise<void> {
  const stopped = untilStopped();
  const runner = await startSupervised('runner', config);
  const front = await startSupervised('front', config).catch(async (error: unknown) => {
    await runner.stop();
    throw error;
  });
  process.stderr.write(`ready ${front.line}\n`);
  await stopped;
  await runner.stop(); // stubs that read a run that goes on still need the front
  await front.stop();
}

export function serveRunner(config: Config): Promise<void> {
  return servePart(async () => ({ line: config.socket, ...(await startRunner(config)) }));
}

export function serveFront(config: Config): Promise<void> {
  return servePart(async () => {
    const { urls, stop } = await startFront(config);
    return { line: urls.join(' '), stop };
  });
}

async function servePart(start: () => Promise<Supervised>): Promise<void> {
  const stopped = untilStopped(); // from now on: an order that comes while we start is obeyed once we have
  try {
    const { line, stop } = await start();
    announce(line);
    await stopped;
    await stop();
  } finally {
    if (process.connected) process.disconnect();
  }
}

interface Supervised {
  /** The line with which the part said that it is ready. */
  line: string;
  stop: () => Promise<void>;
}

/** Starts a part, waits until it is ready, and starts it again whenever it dies. @throws UsageError if it does not come up the first time */
async function startSupervised(name: 'front' | 'runner', config: Config): Promise<Supervised> {
  const start = (): Part => startPart(MAIN, [name, '--config', config.file]);
  let part = start();
  const line = await part.ready;
  if (line === undefined) throw new UsageError(`the ${name} did not start; the line above says why`);
  let stopping = false;
  const isStopping = (): boolean => stopping;
  const watch = async (): Promise<void> => {
    for (;;) {
      const { code, signal } = await part.exit;
      if (isStopping()) return;
      process.stderr.write(
        `mediator-agent: the ${name} died (${signal === null ? `code ${code ?? ''}` : `signal ${signal}`}); starting it again\n`,
      );
      await new Promise((resolve) => setTimeout(resolve, RESTART_DELAY));
      if (isStopping()) return;
      part = start();
    }
  };
  const watching = watch();
  return {
    line,
    stop: async () => {
      stopping = true;
      part.stop();
      await watching;
    },
  };
}

function announce(line: string): void {
  if (process.send === undefined) process.stderr.write(`ready ${line}\n`);
  else if (process.connected) process.send(line);
}

/** TERM, INT, or the death of the process that started us. */
function untilStopped(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve());
    process.once('disconnect', () => resolve());
  });
}
