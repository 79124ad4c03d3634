/** The front's numbers. */
import type { FailureCode } from '../../protocol/failures.ts';
import { Metrics, type Sample } from '../admin/metrics.ts';
import { REFUSALS } from '../admin/process-metrics.ts';

/** How a call came: the two doors for stubs, and Check Point's web request. */
export type Transport = 'websocket' | 'post' | 'web-request';

export interface FrontGauges {
  /** Open connections by listener. */
  connections: Record<string, number>;
  limit: number;
  /** How long the certificate that is served is valid, in milliseconds since the epoch; undefined without TLS. */
  certificateEnds: number | undefined;
  keys: number;
  /** Of a sidecar: connections to its agent that are ready for calls to come. */
  ready: number | undefined;
}

export class FrontMetrics {
  readonly all = new Metrics();
  readonly #refusals = this.all.counter(...REFUSALS);
  readonly #admitted = this.all.counter('mediator_calls_admitted_total', 'Calls whose key was proven, by the way they came.');
  readonly #dropped = this.all.counter(
    'mediator_connections_dropped_total',
    'Connections without a proof that were closed, being more than limits.handshakes.',
  );
  readonly #handshakes = this.all.counter('mediator_tls_failures_total', 'TLS handshakes that failed.');

  constructor(now: () => FrontGauges) {
    const { all } = this;
    all.gauge('mediator_connections', 'Open connections of stubs, by listener.', () =>
      Object.entries(now().connections).map(([listener, count]): Sample => [{ listener }, count]),
    );
    all.gauge('mediator_connections_limit', 'limits.connections in agent.yaml, which holds for all listeners together.', () => now().limit);
    all.gauge('mediator_keys', 'Keys in keys.yaml.', () => now().keys);
    all.gauge('mediator_connections_ready', 'Connections of a sidecar to its agent that wait for a call each.', () => now().ready);
    all.gauge('mediator_certificate_not_after_seconds', 'When the certificate that is served ends, in seconds since the epoch.', () => {
      const ends = now().certificateEnds;
      return ends === undefined ? undefined : ends / 1000;
    });
  }

  refused(reason: FailureCode): void {
    this.#refusals({ part: 'front', reason });
  }

  admitted(transport: Transport): void {
    this.#admitted({ transport });
  }

  dropped(): void {
    this.#dropped({});
  }

  handshakeFailed(): void {
    this.#handshakes({});
  }
}
