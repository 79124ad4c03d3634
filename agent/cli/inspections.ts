/** What can be found out about the front from files alone: a part of `check`, which `doctor` shares. */
import { X509Certificate, createPrivateKey } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { isIP } from 'node:net';
import { readToken } from '../admin/token.ts';
import type { Config } from '../config/config.ts';
import { loadKeys, type Key } from '../config/keys.ts';
import { CERTIFICATE_WARNING_DAYS } from '../front/certificate.ts';
import { readRemote } from '../front/upstream.ts';
import { fail, failed, faulty, warn, type Finding } from './findings.ts';

const DAY = 86_400_000;
/** Enough to push new stubs by hand into every pod. */
const KEY_WARNING_DAYS = 14;

/** Everything that the front needs. Empty if nothing is wrong. */
export function inspectFront(config: Config, now: number): Finding[] {
  return [...inspectKeys(config, now), ...inspectCertificate(config, now), ...inspectToken(config), ...inspectUpstream(config)];
}

function inspectKeys({ keys }: Config, now: number): Finding[] {
  const parsed = loadKeys(keys);
  if (!parsed.ok) return parsed.problems.map(faulty);
  const ends = parsed.value.flatMap((key) => inspectEnd(keys, key, now));
  if (parsed.value.some(({ expires = Infinity }) => now < expires)) return ends;
  return [...ends, warn(keys, 'has no key that is valid, so that nobody can call; make one: mediator-agent keys create ID')];
}

function inspectEnd(file: string, { id, expires = Infinity }: Key, now: number): Finding[] {
  const days = Math.floor((expires - now) / DAY);
  if (now >= expires)
    return [warn(file, `the key ${id} expired on ${dateOf(expires)}; set a later date, or remove it: mediator-agent keys revoke ${id}`)];
  if (days >= KEY_WARNING_DAYS) return [];
  return [warn(file, `the key ${id} expires on ${dateOf(expires)}; set a later date, or make another key and its stubs`)];
}

function inspectCertificate({ tls, names }: Config, now: number): Finding[] {
  if (tls === undefined) return [];
  try {
    const certificate = new X509Certificate(readFileSync(tls.certificate));
    const strangers = names.filter((name) => (isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name)) === undefined);
    const own = certificate.checkPrivateKey(createPrivateKey(readFileSync(tls.key)));
    return [
      ...strangers.map((name) =>
        fail(tls.certificate, `is not for "${name}", which names in agent.yaml has; stubs that dial it will refuse it`),
      ),
      ...(own ? [] : [fail(tls.key, `is not the key of ${tls.certificate}`)]),
      ...inspectMode(tls.key),
      ...inspectDates(tls.certificate, certificate, now),
      ...(tls.clients === undefined ? [] : inspectClients(tls.clients, now)),
    ];
  } catch (error) {
    return [failed(tls.certificate, error)];
  }
}

/** The agent takes it as it is: tools that renew certificates let a group read. But it is worth a word. */
function inspectMode(file: string): Finding[] {
  const mode = statSync(file).mode & 0o777;
  return (mode & 0o007) === 0 ? [] : [warn(file, `has mode 0${mode.toString(8)}, and others can read the key; run: chmod 600 ${file}`)];
}

function inspectDates(file: string, { validFrom, validTo }: X509Certificate, now: number): Finding[] {
  const [begin, end] = [Date.parse(validFrom), Date.parse(validTo)];
  if (now < begin) return [fail(file, `is valid from ${dateOf(begin)} on only; correct the clock, or wait`)];
  if (now >= end) return [fail(file, `expired on ${dateOf(end)}; renew it, then make new stubs, which pin it`)];
  const days = Math.floor((end - now) / DAY);
  return days < CERTIFICATE_WARNING_DAYS ? [warn(file, `ends in ${days} days; renew it, then make new stubs, which pin it`)] : [];
}

function inspectClients(file: string, now: number): Finding[] {
  try {
    return inspectDates(file, new X509Certificate(readFileSync(file)), now); // the first, if there are several
  } catch (error) {
    return [failed(file, error)];
  }
}

function inspectToken({ admin }: Config): Finding[] {
  if (admin === undefined) return [];
  try {
    readToken(admin['token-file']);
    return [];
  } catch (error) {
    return [failed('admin.token-file', error)];
  }
}

function inspectUpstream(config: Config): Finding[] {
  try {
    readRemote(config);
    return [];
  } catch (error) {
    return [failed('upstream', error)];
  }
}

function dateOf(moment: number): string {
  return new Date(moment).toISOString().slice(0, 10);
}
