/**
 * Words to systemd (sd_notify(3)). Node has no Unix datagram sockets: systemd/notifying passes on what is written to a pipe, which it has made for us
 * or which has a name. Without it, nobody asked, and nothing is said.
 */
import { closeSync, constants, openSync, writeSync } from 'node:fs';

/** Pings for each interval that systemd waits for one. */
const PINGS = 3;

/** Of the pipe; NaN without one. */
let pipe: number | undefined;

/** `READY=1`, `STATUS=…`; all arrive together. Returns whether anybody asked. */
export function notify(...assignments: string[]): boolean {
  pipe ??= openPipe();
  if (!(pipe > 2)) return false;
  const line = assignments.map((assignment) => assignment.replace(/[\t\n]/g, ' ')).join('\t');
  try {
    writeSync(pipe, `${line}\n`);
  } catch {
    // Who would pass it on is gone; systemd hears no more from us, and will start us again.
  }
  return true;
}

/** For reading, too, which waits for no reader, and keeps what is written before one comes. */
function openPipe(): number {
  const { MEDIATOR_NOTIFY_FD: fd, MEDIATOR_NOTIFY_FIFO: fifo } = process.env;
  return fifo === undefined ? Number(fd) : openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK);
}

/** How a reload has ended: as the status, and to systemd/reload, which waits for `reloaded` or the reason. After a HUP that came from elsewhere, nobody does. */
export function notifyReload(status: string, refused?: string): void {
  notify(`STATUS=${status}${refused === undefined ? '' : `; reload failed, the settings stay as they were: ${refused}`}`);
  const { MEDIATOR_RELOAD_FIFO: fifo } = process.env;
  if (fifo === undefined) return;
  try {
    const pipe = openSync(fifo, constants.O_WRONLY | constants.O_NONBLOCK);
    writeSync(pipe, `${(refused ?? 'reloaded').replaceAll('\n', ' ')}\n`);
    closeSync(pipe);
  } catch {
    // Nobody waits.
  }
}

/** Says that we live, for as long as our event loop turns. */
export function startWatchdog(): void {
  const patience = Number(process.env.WATCHDOG_USEC) / 1000;
  if (patience > 0) setInterval(() => notify('WATCHDOG=1'), patience / PINGS).unref();
}
