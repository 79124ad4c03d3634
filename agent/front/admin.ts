/** The front opens the admin listener: it has the keys and the certificate, and dials the runner anyway. */
import { createServer, type Server } from 'node:http';
import { INTERVALS, LIMITS } from '../../protocol/constants.ts';
import { startAdmin } from '../admin/listener.ts';
import type { KeySummary } from '../admin/api.ts';
import { readToken } from '../admin/token.ts';
import { isLoopback } from '../config/address.ts';
import type { Config } from '../config/config.ts';
import type { Key } from '../config/keys.ts';
import type { Logger } from '../log.ts';
import type { Gate } from './gate.ts';
import type { FrontMetrics } from './metrics.ts';
import { createTlsServer, type readTls } from './tls.ts';

const OPTIONS = { maxHeaderSize: LIMITS.headers, headersTimeout: INTERVALS.handshake, requestTimeout: INTERVALS.handshake };

export interface Admin {
  /** Undefined while it cannot listen. */
  url: string | undefined;
  replaceCertificate: (tls: ReturnType<typeof readTls>) => void;
  stop: () => void;
}

/** Nothing, if agent.yaml does not ask for it. @throws Failure if its token cannot be used */
export async function openAdmin(config: Config, gate: Gate, metrics: FrontMetrics, log: Logger): Promise<Admin | undefined> {
  if (config.admin === undefined) return undefined;
  const { listen: address, 'token-file': tokenFile } = config.admin;
  const token = readToken(tokenFile);
  const tls = isLoopback(address) ? undefined : createTlsServer(withoutClients(config), OPTIONS);
  const server: Server = tls ?? createServer(OPTIONS);
  const port = await startAdmin({
    ...{ server, address, token, log },
    names: () => config.names,
    keys: () => gate.keys.map(withoutSecret),
    socket: config.socket,
    metrics: () => metrics.all.render(),
  });
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return {
    url: port === undefined ? undefined : `${tls === undefined ? 'http' : 'https'}://${host}:${port}`,
    replaceCertificate: (fresh) => tls?.setSecureContext({ cert: fresh.cert, key: fresh.key }),
    stop: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** For the page: without its own, and without those that a rotation has replaced, which are as good as it for a while. */
function withoutSecret(key: Key): KeySummary {
  const shown = { ...key, ...(key.previous && { previous: key.previous.map(({ expires }) => ({ expires })) }) };
  return Object.fromEntries(Object.entries(shown).filter(([field]) => field !== 'secret'));
}

/** Its users have a token, and browsers ask their users oddly for certificates. */
function withoutClients(config: Config): Config {
  if (config.tls === undefined) return config;
  const { certificate, key } = config.tls;
  return { ...config, tls: { certificate, key } };
}
