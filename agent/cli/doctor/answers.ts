/** Who answers: the runner on its socket, the front with its certificate and a real proof, the admin listener, a sidecar's agent. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { get as getPlain, type IncomingMessage } from 'node:http';
import { get as getTls, type RequestOptions } from 'node:https';
import { isIP } from 'node:net';
import { rootCertificates } from 'node:tls';
import { z } from 'zod';
import { Failure } from '../../../protocol/failures.ts';
import { isLoopback, type Address } from '../../config/address.ts';
import type { Config } from '../../config/config.ts';
import { loadKeys, type Key } from '../../config/keys.ts';
import { isWithin } from '../../config/networks.ts';
import { version } from '../../config/version.ts';
import { readRemote } from '../../front/upstream.ts';
import { CLOSE } from '../../wire/connection.ts';
import { dialAgent, type RemoteAgent } from '../../wire/dial-agent.ts';
import { callRunner } from '../../wire/runner-api.ts';
import { fail, failed, ok, warn, type Finding } from '../findings.ts';
import { RELOAD, keysNotInForce } from '../keys-in-force.ts';

const Health = z.object({ version: z.string(), running: z.number(), queued: z.number(), draining: z.boolean() });
/** Milliseconds. */
const PATIENCE = 10_000;

export async function examineRunner({ socket }: Config): Promise<Finding[]> {
  try {
    const { version: theirs, running, queued, draining } = Health.parse(await callRunner(socket, 'GET', '/healthz'));
    if (theirs !== version()) return [warn(socket, `the runner is version ${theirs}, this command is ${version()}; restart the agent`)];
    if (draining) return [warn(socket, 'the runner is about to stop and takes no new runs')];
    await callRunner(socket, 'GET', '/readyz');
    return [ok(socket, `the runner answers; ${running} runs go on, ${queued} wait`)];
  } catch (error) {
    return [failed(socket, error)];
  }
}

/** Where it was handed a copy of keys.yaml, as systemd does it. */
export function examineKeys(config: Config): Finding[] {
  return (keysNotInForce(config) ?? []).map((said) => fail(config.keys, `${said}; run: ${RELOAD}`));
}

/** Every listener is called as a stub would call it, under the first name, and up to the point where it would say what to run. */
export async function examineFront(config: Config): Promise<Finding[]> {
  const keys = loadKeys(config.keys);
  if (!keys.ok) return []; // a finding already
  const key = keys.value.find((candidate) => mayCallFromHere(candidate));
  const listeners = [
    ...config.listen.tls.map((address) => ['wss', address] as const),
    ...config.listen.plaintext.map((address) => ['ws', address] as const),
  ];
  return Promise.all(listeners.map(([scheme, address]) => examineListener(config, scheme, address, key)));
}

function mayCallFromHere({ expires = Infinity, networks }: Key): boolean {
  return Date.now() < expires && (networks === undefined || isWithin(networks, '127.0.0.1'));
}

async function examineListener(config: Config, scheme: 'wss' | 'ws', address: Address, key: Key | undefined): Promise<Finding> {
  const [name = ''] = config.names;
  const about = `${scheme}://${hostOf(address)}:${address.port}`;
  if (address.port === 0) return warn(about, 'the port is chosen at each start, and was not tried; name one in agent.yaml');
  if (key === undefined) return warn(about, 'was not tried: keys.yaml has no key that is valid and may be used from this machine');
  const tls = scheme === 'wss' ? config.tls : undefined;
  const ca = tls === undefined ? [] : [readFileSync(tls.certificate, 'utf8'), ...rootCertificates];
  const url = `${scheme}://${isIP(name) === 6 ? `[${name}]` : name}:${address.port}`;
  const begun = performance.now();
  try {
    await call({ url, key, ca, at: { host: reachable(address.host), port: address.port } });
    const how = tls === undefined ? '' : ' with its certificate';
    return ok(about, `the front answers as ${name}${how}, and takes the key ${key.id}; ${Math.round(performance.now() - begun)} ms`);
  } catch (error) {
    return frontFailure(about, Failure.from(error), tls);
  }
}

function frontFailure(about: string, { code, message }: Failure, tls: Config['tls']): Finding {
  if (tls?.clients !== undefined && code === 'unauthorized')
    return ok(about, 'the front answers, and demands a client certificate, so that no key was tried');
  if (tls !== undefined && /certificate|self-signed|altname/i.test(message)) {
    const expired = message.includes('expired') && Date.parse(new X509Certificate(readFileSync(tls.certificate)).validTo) <= Date.now();
    if (expired) return fail(about, `${message}, as said of ${tls.certificate} above; once it is renewed, run: ${RELOAD}`);
    const remedy = `if it was renewed, run: ${RELOAD} (without systemd: HUP); else another program listens there`;
    return fail(about, `${message}: what is served is not ${tls.certificate}; ${remedy}`);
  }
  return fail(about, message);
}

/** A sidecar's agent, called as the sidecar calls it. */
export async function examineUpstream(config: Config): Promise<Finding[]> {
  const about = config.upstream?.url ?? 'upstream';
  try {
    const remote = readRemote(config);
    if (remote === undefined) return [];
    await call(remote);
    return [ok(about, `the agent answers, and takes the key ${remote.key.id}`)];
  } catch (error) {
    return [failed(about, error)];
  }
}

async function call(remote: RemoteAgent): Promise<void> {
  const { connection } = await dialAgent(remote);
  connection.close(CLOSE.normal);
}

export async function examineAdmin(config: Config): Promise<Finding[]> {
  if (config.admin === undefined) return [ok('admin', 'no admin listener in agent.yaml: no metrics, no health, no page')];
  const { listen } = config.admin;
  const about = `${isLoopback(listen) ? 'http' : 'https'}://${hostOf(listen)}:${listen.port}/readyz`;
  if (listen.port === 0) return [warn(about, 'the port is chosen at each start, and was not tried; name one in agent.yaml')];
  try {
    const status = await ready(config, listen);
    return [
      status === 200
        ? ok(about, 'the admin listener answers')
        : fail(about, `answers ${status}: the runner is away, or takes no calls; its line above says why`),
    ];
  } catch (error) {
    return [fail(about, `${Failure.from(error).message}; is the front running, and the port free for it? Its log says more`)];
  }
}

function ready({ names, tls }: Config, listen: Address): Promise<number> {
  const [name = ''] = names;
  const there = { host: reachable(listen.host), port: listen.port, path: '/readyz', timeout: PATIENCE, agent: false } as const;
  const secure = (certificate: string): RequestOptions => ({
    ...{ ...there, headers: { host: name }, servername: isIP(name) === 0 ? name : '' },
    ...{ ca: [readFileSync(certificate, 'utf8'), ...rootCertificates], allowPartialTrustChain: true },
    checkServerIdentity: () => undefined, // it is this machine, whatever the name; the certificate itself is verified
  });
  return new Promise((resolve, reject) => {
    const heard = (response: IncomingMessage): void => {
      response.resume();
      resolve(response.statusCode ?? 0);
    };
    const request = isLoopback(listen) || tls === undefined ? getPlain(there, heard) : getTls(secure(tls.certificate), heard);
    request.on('error', reject).on('timeout', () => request.destroy(new Error(`no answer within ${PATIENCE / 1000} s`)));
  });
}

/** An address that means all of them is called on loopback. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  return host === '::' ? '::1' : host;
}

function hostOf({ host }: Address): string {
  return host.includes(':') ? `[${host}]` : host;
}
