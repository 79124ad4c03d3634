/**
 * The keeper: a small process that starts scripts, copies their output to the spool, and ends them. It does so by itself, so that a runner may
 * crash and come back while scripts go on; and it is small, because a start copies the page tables of who starts. It ends when it has neither
 * a runner nor a run that goes on. Long because what it knows is one state, which every message changes.
 */
import { rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { parseArgs } from 'node:util';
import { LOG_LEVELS, createLogger, type Logger } from '../log.ts';
import { crashPoint } from '../process/crash-point.ts';
import { Groups } from '../process/groups.ts';
import { Pipes } from '../process/pipes.ts';
import { writeEnding } from './ending-file.ts';
import { execute } from './execution.ts';
import { KeptRun } from './kept-run.ts';
import { readLines, writeLine } from './lines.ts';
import { RunnerMessage, type KeeperMessage, type StartOrder } from './messages.ts';

const OPTION = { type: 'string', default: '' } as const;

/** Started by a runner: see keeper-link.ts. @param args `--config` says whose it is to those who read ps */
export async function keep(args: string[]): Promise<void> {
  const { socket, log } = parseArgs({ args, options: { config: OPTION, socket: OPTION, log: OPTION } }).values;
  const keeper = new Keeper(createLogger('keeper', LOG_LEVELS.find((level) => level === log) ?? 'info'));
  await keeper.prepare();
  const abandoned = !process.connected;
  if (abandoned) return; // the next runner may have a keeper by now
  process.umask(0o177);
  const server = createServer((connection) => {
    keeper.accept(connection);
  });
  rmSync(socket, { force: true }); // of a keeper that was killed; the runner has found that nobody listens
  server.listen(socket);
  process.umask(0o022);
  server.once('listening', () => process.send?.('ready', undefined, undefined, () => undefined));
  for (const signal of ['SIGHUP', 'SIGINT'] as const) process.on(signal, () => undefined); // meant for the runner, which tells us
  process.on('SIGTERM', () => {
    keeper.endAll();
  });
  process.once('disconnect', () => {
    keeper.leaveIfIdle(); // who started us is gone, perhaps before it connected
  });
  await keeper.left;
  server.close();
  if (process.connected) process.disconnect();
}

class Keeper {
  readonly #log: Logger;
  readonly #pipes = new Pipes((helper) => this.#groups?.expel(helper));
  #groups: Groups | undefined;
  readonly #runs = new Map<string, KeptRun>();
  /** Runs whose output has grown since the runner was told. */
  readonly #grown = new Set<KeptRun>();
  #runner: Socket | undefined;
  #leave: () => void = () => undefined;
  /** Resolves when there is nothing left to do. */
  readonly left = new Promise<void>((resolve) => (this.#leave = resolve));

  constructor(log: Logger) {
    this.#log = log;
  }

  /** @throws Failure `internal` if scripts cannot be started here */
  async prepare(): Promise<void> {
    this.#groups = await Groups.open();
    await this.#pipes.fill();
  }

  accept(connection: Socket): void {
    connection.on('error', () => undefined); // 'close' follows
    connection.once('close', () => {
      if (this.#runner !== connection) return;
      this.#runner = undefined;
      for (const run of this.#runs.values()) this.#writeDown(run);
      this.leaveIfIdle();
    });
    readLines(connection, RunnerMessage, (message) => {
      if (message.type === 'hello') this.#obey(connection);
      else if (connection === this.#runner) this.#take(message);
    });
  }

  /** A runner is gone for good, and everything that goes on with it. */
  endAll(): void {
    if (this.#runner !== undefined) return; // it was told, too, and says what is to end
    for (const run of this.#runs.values()) run.end({ outcome: 'cancelled', message: 'the agent was stopped' });
    this.leaveIfIdle();
  }

  leaveIfIdle(): void {
    if (this.#runner !== undefined) return;
    if ([...this.#runs.values()].every(({ ended }) => ended !== null)) this.#leave();
  }

  /** What an earlier runner has sent and we have not read is never started: its successor has to know what was. */
  #obey(runner: Socket): void {
    const earlier = this.#runner;
    this.#runner = runner;
    earlier?.destroy();
    this.#tell({ type: 'kept', runs: [...this.#runs.values()].map(({ kept }) => kept) });
  }

  #take(message: Exclude<RunnerMessage, { type: 'hello' }>): void {
    switch (message.type) {
      case 'start':
        if (!this.#runs.has(message.run)) void this.#start(message);
        return;
      case 'end':
        this.#runs.get(message.run)?.end(message.order);
        return;
      case 'settled':
        this.#runs.delete(message.run);
    }
  }

  async #start(order: StartOrder): Promise<void> {
    const run = new KeptRun(order, () => {
      if (this.#grown.size === 0) setImmediate(() => this.#tellGrowth());
      this.#grown.add(run);
    });
    this.#runs.set(run.id, run);
    crashPoint('order-read');
    const ending = await execute(run, order, { pipes: this.#pipes, groups: this.#groups, log: this.#log }, (pid) => {
      crashPoint('spawned');
      this.#tell({ type: 'started', run: run.id, pid });
    });
    const ended = run.settle(ending);
    crashPoint('end-known');
    this.#tell({ type: 'ended', run: run.id, ended });
    if (this.#runner !== undefined) return;
    this.#writeDown(run);
    this.leaveIfIdle();
  }

  #tellGrowth(): void {
    for (const { id, lengths } of this.#grown) this.#tell({ type: 'output', run: id, lengths });
    this.#grown.clear();
  }

  #tell(message: KeeperMessage): void {
    if (this.#runner !== undefined) writeLine(this.#runner, message);
  }

  /** No runner may have heard of this end. */
  #writeDown({ id, folder, memo, ended }: KeptRun): void {
    if (ended === null) return;
    try {
      crashPoint('end-unwritten');
      writeEnding(folder, { memo, ended });
      crashPoint('end-written');
    } catch (error) {
      this.#log.error({ run: id, err: error }, 'the end of a run could not be kept; without us its outcome is lost');
    }
  }
}
