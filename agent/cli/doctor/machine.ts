/** The machine: Node and its SQLite, the clock, interpreters. */
import { INTERVALS } from '../../../protocol/constants.ts';
import { findProgram } from '../../catalog/interpreter.ts';
import type { Config } from '../../config/config.ts';
import { INTERPRETERS } from '../../config/interpreters.ts';
import { oldestNode } from '../../config/version.ts';
import { sqliteVersion } from '../../journal/audit.ts';
import { runTool } from '../../process/execute.ts';
import { fail, failed, ok, warn, type Finding } from '../findings.ts';
import { properties } from './units.ts';

export function examineNode(): Finding[] {
  const { node } = process.versions;
  const oldest = oldestNode();
  const about = `Node ${node}`;
  if (node.localeCompare(oldest, 'en', { numeric: true }) < 0)
    return [fail(about, `is older than ${oldest}; install a newer one, and name it: ln -sfn FILE /etc/mediator/node`)];
  try {
    return [ok(about, `${process.execPath}, SQLite ${sqliteVersion()}`)];
  } catch (error) {
    return [failed(`${about}: SQLite`, error)];
  }
}

/** Stubs and agent must agree about the time; whether somebody keeps this clock right, only systemd can say. */
export async function examineClock(): Promise<Finding[]> {
  const now = new Date().toISOString();
  const said = await runTool('timedatectl', ['show', '--property=NTPSynchronized,NTP,CanNTP']).catch(() => '');
  const { NTPSynchronized, ...rest } = properties(said);
  if (NTPSynchronized === 'yes') return [ok('clock', `${now}, synchronised`)];
  const off = `stubs whose clocks are ${INTERVALS.clockSkewSeconds} s off are refused; ${remedyFor(rest)}`;
  if (NTPSynchronized === 'no') return [warn('clock', `${now}, and nothing synchronises it; ${off}`)];
  return [ok('clock', `${now}; whether it is synchronised is not known here`)];
}

/** A bare Debian has no service that could be switched on. */
function remedyFor({ CanNTP, NTP }: Partial<Record<string, string>>): string {
  if (CanNTP !== 'yes') return 'install systemd-timesyncd or chrony with your package manager';
  if (NTP !== 'yes') return 'run: timedatectl set-ntp true';
  return 'the service runs and reaches no server, or has just begun: timedatectl timesync-status, or chronyc sources';
}

/** A script whose interpreter is missing is a finding of its own. */
export function examineInterpreters({ path }: Config): Finding[] {
  const names = [...new Set(Object.values(INTERPRETERS))].filter((name) => name !== 'node' && name !== 'tsx');
  const found = names.flatMap((name) => findProgram(name, path) ?? []);
  const missing = names.filter((name) => findProgram(name, path) === undefined);
  const rest = missing.length === 0 ? '' : `; not in path of agent.yaml: ${missing.join(', ')}, which matters only to scripts in them`;
  return [ok('interpreters', `${found.join(', ')}, and the agent's own Node${rest}`)];
}
