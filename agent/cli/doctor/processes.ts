/** The processes of a running agent, as /proc tells of them, and whether their limits are large enough for those of agent.yaml. */
import { readFileSync, readdirSync } from 'node:fs';
import type { Config } from '../../config/config.ts';
import { ok, warn, type Finding } from '../findings.ts';

const PARTS = ['front', 'runner'] as const;

/** Open files that a process has anyway: libraries, log, listeners, journal, watched folders. */
const OWN = 128;

/** For each connection the front has a socket on either side, and the runner one and the two files that it reads. Scripts are the keeper's. */
function filesNeeded({ limits }: Config, part: (typeof PARTS)[number]): number {
  return OWN + (part === 'front' ? 2 * limits.connections + limits.handshakes : 3 * limits.connections);
}

export function examineLimits(config: Config): Finding[] {
  return PARTS.flatMap((part) => {
    const pid = findPart(part, config.file);
    if (pid === undefined) return [];
    const most = openFiles(pid);
    if (most === undefined) return [];
    const needed = filesNeeded(config, part);
    const about = `${part} (process ${pid})`;
    if (most >= needed) return [ok(about, `may open ${most} files; limits.connections needs ${needed}`)];
    const remedy = `raise LimitNOFILE by "systemctl edit mediator-${part}" (elsewhere: ulimit -n), or lower limits.connections`;
    return [warn(about, `may open ${most} files, and ${config.limits.connections} connections need ${needed}; ${remedy}`)];
  });
}

export function findPart(part: string, file: string): number | undefined {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const found = pids.find((pid) => {
    const words = read(`/proc/${pid}/cmdline`).split('\0');
    const at = words.indexOf(part);
    return at > 0 && words[at + 1] === '--config' && words[at + 2] === file;
  });
  return found === undefined ? undefined : Number(found);
}

/** Empty if it is somebody else's. */
export function environmentOf(pid: number): Map<string, string> {
  const pairs = read(`/proc/${pid}/environ`).split('\0');
  return new Map(pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]));
}

/** The soft limit; Node raises it to the hard one at its start. */
function openFiles(pid: number): number | undefined {
  const match = /^Max open files +(\d+|unlimited)/m.exec(read(`/proc/${pid}/limits`));
  if (match === null) return undefined;
  return match[1] === 'unlimited' ? Infinity : Number(match[1]);
}

function read(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return ''; // it has ended, or belongs to somebody else
  }
}
