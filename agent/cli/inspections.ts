/** What can be found out from files alone, without a running agent: the parts of `check`, which `doctor` shares. */
import { X509Certificate, createPrivateKey } from 'node:crypto';
import { readFileSync, realpathSync, statSync } from 'node:fs';
import { isIP } from 'node:net';
import { Failure } from '../../protocol/failures.ts';
import { readToken } from '../admin/token.ts';
import { Catalog } from '../catalog/catalog.ts';
import { checkTrust } from '../catalog/trust.ts';
import type { Config } from '../config/config.ts';
import { loadKeys, type Key } from '../config/keys.ts';
import { formatProblem } from '../config/yaml-file.ts';
import { CERTIFICATE_WARNING_DAYS } from '../front/certificate.ts';
import { readRemote } from '../front/upstream.ts';
import { readTasks } from '../tasks/folder.ts';
import type { Task } from '../tasks/task.ts';
import { fail, failed, ok, warn, type Finding } from './findings.ts';

const DAY = 86_400_000;
/** Enough to push new stubs by hand into every pod. */
const KEY_WARNING_DAYS = 14;

/** Everything that the front needs. Empty if nothing is wrong. */
export function inspectFront(config: Config, now: number): Finding[] {
  return [...inspectKeys(config, now), ...inspectCertificate(config, now), ...inspectToken(config), ...inspectUpstream(config)];
}

function inspectKeys({ keys }: Config, now: number): Finding[] {
  const parsed = loadKeys(keys);
  if (!parsed.ok)
    return parsed.problems.map((problem) => fail(formatProblem({ ...problem, message: '' }).replace(/: $/, ''), problem.message));
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

/** Empty if the folder is there. */
export function inspectFolder({ scripts }: Config): Finding[] {
  const isFolder = statSync(scripts, { throwIfNoEntry: false })?.isDirectory() === true;
  return isFolder ? [] : [fail(scripts, 'is not a folder; make it, or correct scripts in agent.yaml')];
}

/** Every script and every task, whether or not something is wrong. */
export async function inspectScripts(config: Config): Promise<Finding[]> {
  const root = realpathSync(config.scripts);
  const catalog = new Catalog({ root, searchPath: config.path, settle: config.settle });
  const findings: Finding[] = [];
  for (const name of catalog.names()) {
    findings.push(
      await catalog.resolve(name).then(
        () => ok(name),
        (error: unknown) => failed(name, error),
      ),
    );
  }
  for (const { file, task, problem } of readTasks(root, (absolute) => checkTrust(root, absolute))) {
    const fault = task === undefined || problem !== '' ? problem : await faultOf(task, catalog, config);
    findings.push(fault === '' ? ok(file) : fail(file, fault));
  }
  return findings;
}

/** What a task names must be there. */
async function faultOf({ action: { 'run-script': script, 'send-mail': mail } }: Task, catalog: Catalog, { smtp }: Config): Promise<string> {
  if (mail !== undefined && smtp[mail['smtp-server']] === undefined) return `agent.yaml has no server "${mail['smtp-server']}" under smtp`;
  if (script === undefined) return '';
  return catalog.resolve(script['repository-script']).then(
    () => '',
    (error: unknown) => Failure.from(error).message,
  );
}

function dateOf(moment: number): string {
  return new Date(moment).toISOString().slice(0, 10);
}
