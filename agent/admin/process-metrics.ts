/** What both processes tell about themselves. */
import { readdirSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Metrics, Sample } from './metrics.ts';

/** How often the delay of the event loop is measured, in milliseconds. */
const RESOLUTION = 20;
/** Both count what they refuse, so that name and text stand in one place. */
export const REFUSALS = [
  'mediator_refusals_total',
  'Calls that were refused, by the part that did it and the reason, which protocol/README.md explains.',
] as const;

/** @param part `front` or `runner`: tells apart what both have */
export function addProcessMetrics(metrics: Metrics, part: string, version: string): void {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION });
  delay.enable();
  const of = (value: number): Sample[] => [[{ part }, value]];
  metrics.gauge('mediator_info', 'What runs, as labels. Always 1.', () => [[{ part, version, node: process.version }, 1]]);
  metrics.gauge('mediator_start_time_seconds', 'When the process was started, in seconds since the epoch.', () =>
    of(Math.round(performance.timeOrigin) / 1000),
  );
  metrics.gauge('mediator_resident_memory_bytes', 'Memory that the process occupies.', () => of(process.memoryUsage.rss()));
  metrics.counted('mediator_cpu_seconds_total', 'Time that the process has spent on the processor.', () => {
    const { user, system } = process.cpuUsage();
    return of((user + system) / 1e6);
  });
  metrics.gauge('mediator_open_files', 'Open descriptors of the process.', () => {
    const count = openFiles();
    return count === undefined ? undefined : of(count);
  });
  metrics.gauge(
    'mediator_event_loop_delay_seconds',
    'How late timers were since the last scrape: half of them, 99 of 100, and the latest.',
    () => {
      const late = (nanoseconds: number): number => Math.max(0, Math.round(nanoseconds / 1000 - RESOLUTION * 1000) / 1e6);
      const found = { p50: late(delay.percentile(50)), p99: late(delay.percentile(99)), max: late(delay.max) };
      const measured = delay.count > 0;
      delay.reset();
      return measured ? Object.entries(found).map(([statistic, value]): Sample => [{ part, statistic }, value]) : undefined;
    },
  );
}

function openFiles(): number | undefined {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return undefined; // a sandbox may hide it
  }
}
