/** How long the certificate that is served is valid, and a warning in good time. */
import { X509Certificate } from 'node:crypto';
import type { Logger } from '../log.ts';
import type { readTls } from './tls.ts';

const DAY = 86_400_000;
/** Enough for new stubs to be pushed into every pod: they pin the certificate. Days. */
export const CERTIFICATE_WARNING_DAYS = 30;

export class ServedCertificate {
  /** Milliseconds since the epoch; undefined without TLS. */
  ends: number | undefined;
  readonly #log: Logger;

  constructor(log: Logger) {
    this.#log = log;
    setInterval(() => {
      this.#warn();
    }, DAY).unref();
  }

  replace({ cert }: ReturnType<typeof readTls>): void {
    this.ends = Date.parse(new X509Certificate(cert).validTo);
    this.#warn();
  }

  #warn(): void {
    const days = Math.floor(((this.ends ?? Infinity) - Date.now()) / DAY);
    if (days < 0)
      this.#log.error({ days }, 'the certificate has expired, and no stub connects; renew it, and make new stubs, which pin it');
    else if (days < CERTIFICATE_WARNING_DAYS)
      this.#log.warn({ days }, 'the certificate ends soon; renew it, and make new stubs, which pin it');
  }
}
