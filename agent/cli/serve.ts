/** `serve`: front and runner as two processes, started and stopped in their order. `front` and `runner` are the same parts for systemd's two units. */
import { Failure } from '../../protocol/failures.ts';
import type { Config } from '../config/config.ts';
import { startFront } from '../front/main.ts';
import { startPart, type Part } from '../process/execute.ts';
import { notify, notifyReload, startWatchdog } from '../process/service-manager.ts';
import { startRunner, type RunningPart } from '../runner/main.ts';
import { LAST_PATIENCE } from '../runner/runner.ts';
import { readConfig, readConfigAndKeys } from './configuration.ts';
import { UsageError } from './terminal.ts';

const MAIN = process.argv[1] ?? ''; // main.ts, or the one file that `npm run package` makes of everything
/** Before a part that died is started again, in milliseconds. */
const RESTART_DELAY = 1000;

/** Commands that go on until they are stopped. */
export const PARTS: [name: string, description: string, read: (file: string) => Config, start: (config: Config) => Promise<void>][] = [
  ['serve', 'run the agent: front and runner', readConfigAndKeys, serve],
  ['front', 'run the front alone (for systemd)', readConfigAndKeys, serveFront],
  ['runner', 'run the runner alone (for systemd)', readConfig, serveRunner],
];

async function serve(config: Config): Promise<void> {
  refuseUpstream(config);
  const stopped = untilStopped();
  const runner = await startSupervised('runner', config);
  const front = await startSupervised('front', config).catch(async (error: unknown) => {
    await runner.stop();
    throw error;
  });
  process.stderr.write(`ready ${front.line}\n`);
  if (!process.stdin.isTTY) {
    // Otherwise HUP says that the terminal was closed.
    process.on('SIGHUP', () => {
      runner.reload();
      front.reload();
    });
  }
  await stopped;
  await runner.stop(); // stubs that read a run that goes on still need the front
  await front.stop();
}

function serveRunner(config: Config): Promise<void> {
  refuseUpstream(config);
  return servePart(
    async () => ({ line: config.socket, ...(await startRunner(config)) }),
    () => config.drain + LAST_PATIENCE,
  );
}

function serveFront(config: Config): Promise<void> {
  return servePart(async () => {
    const { urls, ...front } = await startFront(config);
    return { line: urls.join(' '), ...front };
  });
}

/** @throws UsageError */
function refuseUpstream({ file, upstream }: Config): void {
  if (upstream !== undefined)
    throw new UsageError(`${file} names an upstream and makes a sidecar, which has no runner; start it with "mediator-agent front"`);
}

type StartedPart = RunningPart & { line: string };

/** @param patience how long its end may take, in milliseconds, if that is longer than systemd would wait by itself; asked then, because a reload may change it */
async function servePart(start: () => Promise<StartedPart>, patience?: () => number): Promise<void> {
  let part: StartedPart | undefined;
  process.on('SIGHUP', () => {
    if (part !== undefined) reload(part);
  });
  const stopped = untilStopped(); // from now on: an order that comes while we start is obeyed once we have
  try {
    part = await start();
    announce(part.line);
    startWatchdog();
    await stopped;
    notify('STOPPING=1', 'STATUS=stopping', ...(patience === undefined ? [] : [`EXTEND_TIMEOUT_USEC=${patience() * 1000}`]));
    await part.stop();
  } finally {
    if (process.connected) process.disconnect();
  }
}

function reload(part: StartedPart): void {
  try {
    part.reload();
    notifyReload(part.line);
  } catch (error) {
    const reason = Failure.from(error).message;
    part.log.error({ reason }, 'reload failed; the settings stay as they were');
    notifyReload(part.line, reason);
  }
}

interface Supervised {
  /** The line with which the part said that it is ready. */
  line: string;
  reload: () => void;
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
    reload: () => void part.ready.then(() => part.reload()), // HUP would end one that is being loaded
    stop: async () => {
      stopping = true;
      part.stop();
      await watching;
    },
  };
}

function announce(line: string): void {
  const heard = notify('READY=1', `STATUS=${line}`);
  if (process.send === undefined && !heard) process.stderr.write(`ready ${line}\n`);
  else process.send?.(line, undefined, undefined, () => undefined); // who is gone need not know
}

/** TERM, INT, or the death of the process that started us. */
function untilStopped(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve());
    process.once('disconnect', () => resolve());
    if (process.send !== undefined && !process.connected) resolve(); // it died while we were loaded
  });
}
