/** `check`: validates everything that `serve` would use, and starts nothing. */
import { X509Certificate, createPrivateKey } from 'node:crypto';
import { readFileSync, realpathSync, statSync } from 'node:fs';
import { Failure } from '../../protocol/failures.ts';
import { Catalog } from '../catalog/catalog.ts';
import { checkTrust } from '../catalog/trust.ts';
import type { Config } from '../config/config.ts';
import { loadKeys } from '../config/keys.ts';
import { readTasks } from '../tasks/folder.ts';
import type { Task } from '../tasks/task.ts';
import { smartConsoleFingerprint } from './fingerprint.ts';
import { formatProblem } from '../config/yaml-file.ts';
import { readRemote } from '../front/upstream.ts';

/** Prints one line for each thing that was checked. Resolves with the exit code: 0 if everything is well, 78 if the agent would not start, 1 if only scripts or tasks have problems. */
export async function check(config: Config): Promise<number> {
  const sidecar = config.upstream !== undefined; // has no scripts
  const faults = [...checkKeys(config), ...checkCertificate(config), ...(sidecar ? checkUpstream(config) : checkFolder(config))];
  for (const fault of faults) process.stdout.write(`FAIL  ${fault}\n`);
  if (faults.length === 0) {
    process.stdout.write(`ok    ${config.file}, keys, certificate\n`);
    if (config.tls !== undefined)
      process.stdout.write(`ok    certificate: for SmartConsole, ${smartConsoleFingerprint(config.tls.certificate)}\n`);
  }
  const broken = sidecar || faults.some((fault) => fault.startsWith(config.scripts)) ? 0 : await checkScripts(config);
  if (faults.length > 0) return 78;
  return broken + (sidecar ? 0 : await checkTasks(config)) > 0 ? 1 : 0;
}

function checkKeys({ keys }: Config): string[] {
  const parsed = loadKeys(keys);
  return parsed.ok ? [] : parsed.problems.map(formatProblem);
}

function checkCertificate({ tls, names }: Config): string[] {
  if (tls === undefined) return [];
  try {
    const certificate = new X509Certificate(readFileSync(tls.certificate));
    const faults = names
      .filter((name) => certificate.checkHost(name) === undefined && certificate.checkIP(name) === undefined)
      .map((name) => `${tls.certificate}: is not for "${name}", which names in agent.yaml has; stubs that dial it will refuse it`);
    if (!certificate.checkPrivateKey(createPrivateKey(readFileSync(tls.key))))
      faults.push(`${tls.key}: is not the key of ${tls.certificate}`);
    if (Date.parse(certificate.validTo) < Date.now()) faults.push(`${tls.certificate}: expired on ${certificate.validTo}`);
    return [...faults, ...checkClients(tls.clients)];
  } catch (error) {
    return [`${tls.certificate}: ${Failure.from(error).message}`];
  }
}

function checkClients(file: string | undefined): string[] {
  if (file === undefined) return [];
  try {
    const { validTo } = new X509Certificate(readFileSync(file)); // the first, if there are several
    return Date.parse(validTo) < Date.now() ? [`${file}: expired on ${validTo}`] : [];
  } catch (error) {
    return [`${file}: ${Failure.from(error).message}`];
  }
}

function checkUpstream(config: Config): string[] {
  try {
    readRemote(config);
    return [];
  } catch (error) {
    return [Failure.from(error).message];
  }
}

function checkFolder({ scripts }: Config): string[] {
  return statSync(scripts, { throwIfNoEntry: false })?.isDirectory() === true
    ? []
    : [`${scripts}: is not a folder; make it, or correct scripts in agent.yaml`];
}

async function checkScripts(config: Config): Promise<number> {
  const catalog = new Catalog({ root: config.scripts, searchPath: config.path, settle: config.settle });
  let broken = 0;
  for (const name of catalog.names()) {
    try {
      await catalog.resolve(name);
      process.stdout.write(`ok    ${name}\n`);
    } catch (error) {
      broken += 1;
      process.stdout.write(`FAIL  ${name}: ${Failure.from(error).message}\n`);
    }
  }
  return broken;
}

async function checkTasks(config: Config): Promise<number> {
  const root = realpathSync(config.scripts);
  const catalog = new Catalog({ root, searchPath: config.path, settle: config.settle });
  let broken = 0;
  for (const { file, task, problem } of readTasks(root, (absolute) => checkTrust(root, absolute))) {
    const fault = task === undefined || problem !== '' ? problem : await faultOf(task, catalog, config);
    if (fault !== '') broken += 1;
    process.stdout.write(fault === '' ? `ok    ${file}\n` : `FAIL  ${file}: ${fault}\n`);
  }
  return broken;
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
