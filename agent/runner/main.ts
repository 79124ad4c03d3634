/** The runner's process: puts its parts together, listens on the Unix socket, and drains when it is told to stop. */
import { rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { Failure } from '../../protocol/failures.ts';
import { openCatalog } from '../catalog/catalog.ts';
import { watchScripts } from '../catalog/watch.ts';
import type { Config } from '../config/config.ts';
import { rereadConfig, takeConfig } from '../config/reload.ts';
import { Journal } from '../journal/journal.ts';
import { lockState } from '../journal/lock.ts';
import { KEEPER_SOCKET } from '../keeper/messages.ts';
import { createLogger, type Logger } from '../log.ts';
import { startKeeper } from '../process/execute.ts';
import type { Link } from '../wire/link.ts';
import { Admission } from './admission.ts';
import { closeServer, createApi } from './api.ts';
import { KeeperLink } from './keeper-link.ts';
import { recover } from './recovery.ts';
import { RunnerMetrics } from './metrics.ts';
import { Registry } from './registry.ts';
import { Retention } from './retention.ts';
import { Runner } from './runner.ts';
import type { Session } from './session.ts';
import { listen, takeSocket } from './socket.ts';
import { Spool } from './spool.ts';

/** Fields of agent.yaml that are used at the start alone. */
const FIXED = ['scripts', 'state', 'socket', 'limits', 'settle', 'path'] as const;

export interface RunningPart {
  log: Logger;
  /** Reads the configuration once more: all of it or, if anything is wrong, nothing. Runs that go on are not touched. @throws Failure */
  reload: () => void;
  /** Stops in order; resolves when everything has ended. */
  stop: () => Promise<void>;
}

/** @throws Failure if another runner owns the state folder, or something in it cannot be used */
export async function startRunner(config: Config): Promise<RunningPart> {
  const log = createLogger('runner', config.log);
  process.umask(0o022);
  checkScripts(config.scripts);
  const unlock = lockState(config.state);
  await takeSocket(config.socket);
  const journal = new Journal(path.join(config.state, 'journal.db'));
  const spool = new Spool(path.join(config.state, 'spool'));
  const keeper = linkToKeeper(config);
  const catalog = openCatalog(config);
  const admission = new Admission(config.limits);
  const registry = new Registry(journal, spool);
  const metrics = new RunnerMetrics();
  const retention = new Retention({ config, log, journal, spool, registry });
  const runner = new Runner({ config, log, journal, spool, catalog, keeper, admission, registry, retention, metrics });
  await recover({ journal, spool, log, metrics, keeper, adopt: (row, kept) => runner.adopt(row, kept) }, config.defaults.grace);
  const stopWatching = watchScripts(config.scripts, catalog, log);
  const stopRetention = retention.start();
  const sessions = new Set<Session>();
  const sizes = () => ({ readers: sessions.size, journal: journal.size, spool: retention.used });
  metrics.watch(config.state, () => ({ ...runner.status, ...config.limits, ...sizes() }));
  const links = new Set<Link>();
  const server = createApi({ runner, catalog, journal, log, sessions, links });
  await listen(server, config.socket).catch(async (error: unknown) => {
    await Promise.all([keeper.close(), stopWatching(), stopRetention()]);
    throw error;
  });
  log.info({ scripts: config.scripts, state: config.state }, 'runner ready');

  return {
    log,
    reload: () => {
      takeConfig(config, rereadConfig(config, FIXED));
      log.level = config.log;
      log.info('reloaded');
    },
    stop: async () => {
      log.info(runner.status, 'runner stops; runs that go on may finish');
      await runner.drain(config.drain);
      await closeServer(server, sessions, links);
      await Promise.all([stopWatching(), stopRetention()]);
      await keeper.close();
      journal.close();
      rmSync(config.socket, { force: true });
      unlock();
      log.info('runner stopped');
    },
  };
}

function linkToKeeper({ file, state, log }: Config): KeeperLink {
  const socket = path.join(state, KEEPER_SOCKET);
  return new KeeperLink(socket, () => startKeeper(process.argv[1] ?? '', ['keeper', '--config', file, '--socket', socket, '--log', log]));
}

function checkScripts(folder: string): void {
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true) return;
  throw new Failure('internal', `${folder} is not a folder; make it, or correct scripts in agent.yaml`);
}
