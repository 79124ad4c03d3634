/** What can be found out about scripts and tasks from files alone: a part of `check`, which `doctor` shares. */
import { statSync } from 'node:fs';
import path from 'node:path';
import { Failure } from '../../protocol/failures.ts';
import { openCatalog, type Catalog } from '../catalog/catalog.ts';
import { checkTrust } from '../catalog/trust.ts';
import type { Config } from '../config/config.ts';
import { unenforceable } from '../process/groups.ts';
import { scriptSecrets } from '../runner/environment.ts';
import { readTasks } from '../tasks/folder.ts';
import type { Task } from '../tasks/task.ts';
import { asAgent, strangerTo } from './as-agent.ts';
import { fail, failed, ok, warn, type Finding } from './findings.ts';

/** Empty if the places of the runner are there, or can be made. */
export function inspectPlaces({ scripts, state, socket }: Config): Finding[] {
  const home = path.dirname(socket);
  return [
    ...(isFolder(scripts) ? [] : [fail(scripts, 'is not a folder; make it, or correct scripts in agent.yaml')]),
    ...(isFolder(state) || isFolder(path.dirname(state)) ? [] : [fail(state, 'cannot be made; make it, or correct state in agent.yaml')]),
    ...(isFolder(home) || home === state ? [] : [warn(socket, 'has no folder; make it before the start, or correct socket in agent.yaml')]),
  ];
}

function isFolder(name: string): boolean {
  return statSync(name, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** Every script and every task as the agent finds it, whether or not something is wrong. */
export function inspectScripts(config: Config): Promise<Finding[]> {
  const stranger = strangerTo(config);
  if (stranger !== undefined) return Promise.resolve([failed(config.scripts, stranger)]);
  const findings = inspectApprovers(config);
  return asAgent(config, async () => {
    const catalog = openCatalog(config);
    const names = catalog.names(({ message }) => findings.push(fail(config.scripts, message)));
    for (const name of names) {
      findings.push(
        await catalog.resolve(name).then(
          ({ manifest }) => inspectSecrets(name, manifest.secrets, config) ?? withLimits(name, Object.keys(manifest.limits)),
          (error: unknown) => failed(name, error),
        ),
      );
    }
    return [...findings, ...(await inspectTasks(catalog, config))];
  });
}

async function inspectTasks(catalog: Catalog, config: Config): Promise<Finding[]> {
  const saidAlready = (): void => undefined;
  const entries = readTasks(catalog.root, checkTrust, saidAlready);
  return Promise.all(
    entries.map(async ({ file, task, problem }) => {
      const fault = task === undefined || problem !== '' ? problem : await faultOf(task, catalog, config);
      return fault === '' ? ok(file) : fail(file, fault);
    }),
  );
}

/** Those of LoadCredential= only the unit has. One that is not there yet is nobody's fault: an example asks for one. */
function inspectSecrets(script: string, names: string[], { credentials }: Config): Finding | undefined {
  if (credentials === undefined) return undefined;
  try {
    scriptSecrets(credentials, names);
    return undefined;
  } catch (error) {
    const { cause } = Failure.from(error);
    const isMissing = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
    return isMissing ? warn(script, `calls end with 126: ${Failure.from(error).message}`) : failed(script, error);
  }
}

/** The script runs in any case. */
function withLimits(name: string, limits: string[]): Finding {
  const missing = unenforceable(limits).join(', ');
  return missing === '' ? ok(name) : warn(name, `its limits ${missing} will not be enforced on this machine; scripts/README.md says why`);
}

/** Scripts run as the owner of the state folder. */
function inspectApprovers({ approvals, state, 'require-approval': required }: Config): Finding[] {
  const folder = path.dirname(approvals);
  const [agent, approver] = [state, folder].map((name) => statSync(name, { throwIfNoEntry: false })?.uid);
  if (!required || agent === undefined || agent !== approver || agent === 0) return [];
  return [
    warn(approvals, `its folder belongs to the user who runs the scripts, so that a script can approve itself; run: chown root ${folder}`),
  ];
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
