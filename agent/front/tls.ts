/** The listener with TLS, and its certificate, which can be exchanged while it listens. */
import { readFileSync } from 'node:fs';
import { createServer, type Server as TlsServer } from 'node:https';
import type { ServerOptions } from 'node:http';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { INTERVALS } from '../../protocol/constants.ts';
import { Failure } from '../../protocol/failures.ts';
import type { Config } from '../config/config.ts';
import { credentialOr } from '../config/credentials.ts';

export type { TlsServer };

type Tls = NonNullable<Config['tls']>;

/** Node would drop who has no certificate that it trusts, without a word to the peer or the log; the doors refuse it (client-certificate.ts). */
const ASK_CLIENTS = { requestCert: true, rejectUnauthorized: false };

/** Reads what agent.yaml names. @throws Failure if it cannot be used */
export function readTls({ certificate, key, clients }: Tls): SecureContextOptions & { cert: Buffer; key: Buffer } {
  try {
    const options = {
      minVersion: 'TLSv1.2' as const,
      cert: readFileSync(credentialOr(certificate)),
      key: readFileSync(credentialOr(key)),
      ...(clients === undefined ? {} : { ca: readFileSync(credentialOr(clients)) }),
    };
    createSecureContext(options); // the key is that of the certificate
    return options;
  } catch (cause) {
    const trusted = clients === undefined ? '' : ` or ${clients}, which says who may connect,`;
    throw new Failure(
      'internal',
      `the certificate ${certificate} and its key ${key}${trusted} cannot be used: ${Failure.from(cause).message}`,
      {
        cause,
      },
    );
  }
}

/** @throws Failure */
export function createTlsServer({ tls }: Config, options: ServerOptions): TlsServer {
  if (tls === undefined) throw new Failure('internal', 'tls: needs certificate and key');
  const asking = tls.clients === undefined ? {} : ASK_CLIENTS;
  return createServer({ ...options, handshakeTimeout: INTERVALS.handshake, ...readTls(tls), ...asking });
}
