/**
 * Words to systemd (sd_notify(3)). Node has no Unix datagram sockets: systemd/notifying, which started us, passes on what is written to a
 * descriptor. Without it, nobody asked, and nothing is said.
 */
import { writeSync } from 'node:fs';

/** Pings for each interval that systemd waits for one. */
const PINGS = 3;

/** `READY=1`, `STATUS=…`; all arrive together. Returns whether anybody asked. */
export function notify(...assignments: string[]): boolean {
  const fd = Number(process.env.MEDIATOR_NOTIFY_FD);
  if (!(fd > 2)) return false;
  const line = assignments.map((assignment) => assignment.replace(/[\t\n]/g, ' ')).join('\t');
  try {
    writeSync(fd, `${line}\n`);
  } catch {
    // Who would pass it on is gone; systemd hears no more from us, and will start us again.
  }
  return true;
}

/** Says that we live, for as long as our event loop turns. */
export function startWatchdog(): void {
  const patience = Number(process.env.WATCHDOG_USEC) / 1000;
  if (patience > 0) setInterval(() => notify('WATCHDOG=1'), patience / PINGS).unref();
}
