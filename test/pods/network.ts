/**
 * The host's side of the network, and a network namespace for each pod, joined to it by veth. The addresses are those of TEST-NET-1 and -2 (RFC 5737) and
 * exist only in here: run.sh made the namespace that this process runs in, and nothing leads out of it.
 */
import assert from 'node:assert/strict';
import { basename } from 'node:path';
import { runCommand } from '../helpers/command.ts';

/** Where the agent, the proxies and the strangers listen. */
export const HOST = '192.0.2.1';
/** What pods may call it: their /etc/hosts says so. */
export const HOST_NAME = 'agent.test';
/** Another name that leads there; the certificate of the agent does not have it. */
export const OTHER_NAME = 'other.test';
/** Packets to it vanish: the host forwards nothing. */
export const BLACK_HOLE = '198.51.100.1';
/** Nobody listens there. */
export const CLOSED_PORT = 9;

export async function openNetwork(): Promise<void> {
  await ip('address', 'add', `${HOST}/32`, 'dev', 'lo');
}

let pods = 0;

/** A namespace with one way out, to the host. @returns the path that nsenter wants */
export async function joinPod(): Promise<string> {
  const number = pods++;
  const [name, outside, address] = [`pod${number}`, `veth${number}`, `192.0.2.${100 + number}`];
  await ip('netns', 'add', name);
  await ip('link', 'add', outside, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
  await ip('link', 'set', outside, 'up');
  await ip('route', 'add', address, 'dev', outside);
  await ip('-n', name, 'link', 'set', 'lo', 'up');
  await ip('-n', name, 'address', 'add', `${address}/32`, 'dev', 'eth0');
  await ip('-n', name, 'link', 'set', 'eth0', 'up');
  await ip('-n', name, 'route', 'add', 'default', 'via', HOST, 'dev', 'eth0', 'onlink');
  return `/run/netns/${name}`;
}

/** The machine of the pod vanishes: nobody hears of it, no packet comes or goes. @param path what joinPod returned */
export async function cutOff(path: string): Promise<void> {
  await ip('-n', basename(path), 'link', 'set', 'eth0', 'down');
}

export async function joinAgain(path: string): Promise<void> {
  await ip('-n', basename(path), 'link', 'set', 'eth0', 'up');
  await ip('-n', basename(path), 'route', 'add', 'default', 'via', HOST, 'dev', 'eth0', 'onlink');
}

/** How many connections to this machine a pod has, as this machine sees it. */
export async function connectionsOf(path: string): Promise<number> {
  const { stdout } = await runCommand('ss', ['-Htn', 'state', 'established', 'dst', `192.0.2.${100 + Number(basename(path).slice(3))}`]);
  return stdout.split('\n').filter(Boolean).length;
}

async function ip(...args: string[]): Promise<void> {
  const { code, stderr } = await runCommand('ip', args);
  assert.equal(code, 0, `ip ${args.join(' ')}: ${stderr}`);
}
