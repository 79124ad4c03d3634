/** The front's process: TLS and keys on one side, the runner's Unix socket on the other. It executes nothing. */
import { Failure } from '../../protocol/failures.ts';
import { addProcessMetrics } from '../admin/process-metrics.ts';
import type { Config } from '../config/config.ts';
import { rereadConfig, takeConfig } from '../config/reload.ts';
import { version } from '../config/version.ts';
import { createLogger, type Logger } from '../log.ts';
import { openAdmin } from './admin.ts';
import { ServedCertificate } from './certificate.ts';
import { Gate } from './gate.ts';
import { Keyring } from './keyring.ts';
import { Listeners } from './listeners.ts';
import { Lobby } from './lobby.ts';
import { FrontMetrics } from './metrics.ts';
import { openNonces } from './nonces.ts';
import { Refusals } from './refusals.ts';
import { readTls } from './tls.ts';
import { createUpstream, readRemote } from './upstream.ts';

/** Fields of agent.yaml that are used at the start alone. */
const FIXED = ['listen', 'limits', 'admin', 'nonces'] as const;

export interface Front {
  /** Where it listens, as URLs; last, the admin listener. */
  urls: string[];
  log: Logger;
  /** Reads configuration, keys and certificate once more: all of it or, if anything is wrong, nothing. @throws Failure */
  reload: () => void;
  stop: () => Promise<void>;
}

/** @throws Failure if a key file, a certificate or an address cannot be used */
export async function startFront(config: Config): Promise<Front> {
  const log = createLogger('front', config.log);
  const keyring = new Keyring(config.keys, log);
  const keys = keyring.read();
  const gate = new Gate(config.names, keys, openNonces(config, log), () => keyring.changed());
  const upstream = createUpstream(config);
  const listeners = new Listeners();
  const certificate = new ServedCertificate(log);
  const metrics = new FrontMetrics(() => ({
    connections: listeners.connections,
    limit: config.limits.connections,
    certificateEnds: certificate.ends,
    keys: gate.keys.length,
    ready: upstream.ready(),
  }));
  const lobby = new Lobby(config.limits, log, () => {
    metrics.dropped();
  });
  addProcessMetrics(metrics.all, 'front', version());
  const admin = await openAdmin(config, gate, metrics, log);
  try {
    await listeners.open(config, { gate, lobby, upstream, config, log, metrics, refusals: new Refusals(upstream) });
  } catch (error) {
    admin?.stop();
    throw error;
  }
  if (config.tls !== undefined) certificate.replace(readTls(config.tls));
  log.info({ urls: listeners.urls, keys: keys.map(({ id }) => id) }, 'front ready');
  return {
    urls: [...listeners.urls, ...(admin?.url === undefined ? [] : [admin.url])],
    log,
    reload: () => {
      const fresh = rereadConfig(config, FIXED);
      if ((fresh.tls?.clients === undefined) !== (config.tls?.clients === undefined)) {
        throw new Failure(
          'internal',
          `${config.file}: tls.clients: to begin or to cease asking for certificates needs a restart, not a reload`,
        );
      }
      if ((fresh.upstream === undefined) !== (config.upstream === undefined)) {
        throw new Failure('internal', `${config.file}: upstream: to become a sidecar or to cease to be one needs a restart, not a reload`);
      }
      readRemote(fresh);
      const tls = fresh.tls === undefined ? undefined : readTls(fresh.tls);
      const freshKeys = keyring.read(fresh.keys);
      takeConfig(config, fresh);
      gate.replace(config.names, freshKeys);
      if (tls !== undefined) {
        listeners.replaceCertificate(tls);
        admin?.replaceCertificate(tls);
        certificate.replace(tls);
      }
      log.level = config.log;
      log.info({ keys: freshKeys.map(({ id }) => id) }, 'reloaded');
    },
    stop: async () => {
      admin?.stop();
      await listeners.stop();
      upstream.close();
      log.info('front stopped');
    },
  };
}
