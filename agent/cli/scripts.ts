/** `scripts list`, `show` and `approve`. */
import { userInfo } from 'node:os';
import { z } from 'zod';
import { Failure } from '../../protocol/failures.ts';
import { approve, type Approval } from '../catalog/approvals.ts';
import { openCatalog, type Catalog, type Script } from '../catalog/catalog.ts';
import type { Config } from '../config/config.ts';
import { callRunner } from '../wire/runner-api.ts';
import { manifestFacts } from './manifest-facts.ts';
import { strangerTo } from './as-agent.ts';
import { findScript } from './nearest.ts';
import { UsageError, formatTable, printFacts, printJsonLines, printable } from './terminal.ts';

const Listed = z.object({
  name: z.string(),
  problem: z.object({ code: z.string(), message: z.string() }).optional(),
  sha256: z.string().optional(),
  manifest_sha256: z.string().optional(),
  approval: z
    .object({
      state: z.enum(['approved', 'new', 'changed']),
      sha256: z.string().optional(),
      manifest_sha256: z.string().optional(),
      at: z.string().optional(),
      by: z.string().optional(),
    })
    .optional(),
  command: z.array(z.string()).optional(),
  manifest: z.record(z.string(), z.unknown()).optional(),
});
type Listed = z.output<typeof Listed>;

export async function listScripts(config: Config, { json }: { json?: boolean }): Promise<void> {
  const { scripts } = z.object({ scripts: z.array(Listed) }).parse(await callRunner(config.socket, 'GET', '/v1/scripts'));
  if (json === true) {
    printJsonLines(scripts);
    return;
  }
  const rows = scripts.map(({ name, problem, sha256, manifest }) => [
    name,
    problem === undefined ? 'ready' : problem.code,
    short(sha256),
    problem?.message ?? descriptionOf(manifest),
  ]);
  process.stdout.write(formatTable(['SCRIPT', 'STATE', 'SHA-256', ''], rows));
}

/** Resolves with the exit code: 1 if the script cannot run. */
export async function showScript(config: Config, name: string, { json }: { json?: boolean }): Promise<number> {
  const path = `/v1/scripts/${name.split('/').map(encodeURIComponent).join('/')}`;
  const script = Listed.parse(await callRunner(config.socket, 'GET', path));
  if (json === true) printJsonLines([script]);
  else printFacts(factsOf(script));
  return script.problem === undefined ? 0 : 1;
}

function factsOf({ name, problem, sha256, manifest_sha256, approval, command = [], manifest = {} }: Listed): Record<string, unknown> {
  return {
    script: name,
    state: problem?.message ?? 'ready',
    'sha-256': sha256 ?? '',
    'manifest sha-256': manifest_sha256 ?? '',
    ...(approval === undefined ? {} : { approval: approval.state }),
    ...(approval?.at === undefined ? {} : { approved: `${approval.at} by ${approval.by ?? ''}` }),
    ...(approval?.state !== 'changed' ? {} : { 'approved was': `${approval.sha256 ?? ''}, manifest ${orNone(approval.manifest_sha256)}` }),
    command: command.join(' '),
    ...manifestFacts(manifest),
  };
}

function orNone(sha256 = ''): string {
  return sha256 === '' ? 'none' : sha256;
}

export interface ApproveOptions {
  all?: boolean;
  sha256?: string;
  json?: boolean;
}

/** Approves what is in the scripts folder at this moment; needs no running agent. Resolves with the exit code: 1 if one of `--all` cannot run. */
export async function approveScripts(config: Config, names: string[], { all, sha256, json }: ApproveOptions): Promise<number> {
  if ((all === true) === names.length > 0) throw new UsageError('name the scripts to approve, or give --all');
  if (sha256 !== undefined && names.length !== 1) throw new UsageError('--sha256 is for one script');
  const stranger = strangerTo(config);
  if (stranger !== undefined) throw new UsageError(stranger);
  const catalog = openCatalog(config);
  const { scripts, broken } = all === true ? await allOf(catalog) : { scripts: await namedOf(catalog, names), broken: 0 };
  const [only] = scripts;
  if (sha256 !== undefined && only !== undefined && (sha256.length < 12 || !only.sha256.startsWith(sha256)))
    throw new UsageError(`${only.name} is ${only.sha256} by now, and not ${sha256}; nothing was approved, look at it again`);
  const rows = scripts.map((script) => ({ script, state: catalog.approvals.stateOf(script), was: catalog.approvals.of(script.name) }));
  const pending = rows.filter(({ state }) => state !== 'approved');
  const by = process.env.SUDO_USER ?? userInfo().username;
  const at = new Date().toISOString();
  if (pending.length > 0) approve(config.approvals, new Map(pending.map(({ script }) => [script.name, approvalOf(script, at, by)])));
  const shown = all === true ? pending : rows;
  if (json === true)
    printJsonLines(shown.map(({ script, state, was = null }) => ({ name: script.name, state, was, is: approvalOf(script, at, by) })));
  else process.stdout.write(shown.length === 0 ? 'Nothing waits for approval.\n' : tableOf(shown));
  if (!config['require-approval']) process.stderr.write(`mediator-agent: ${config.file} does not demand approvals: every script runs\n`);
  return broken > 0 ? 1 : 0;
}

function namedOf(catalog: Catalog, names: string[]): Promise<Script[]> {
  return Promise.all(names.map((name) => catalog.examine(findScript(catalog, name))));
}

async function allOf(catalog: Catalog): Promise<{ scripts: Script[]; broken: number }> {
  const scripts: Script[] = [];
  let broken = 0;
  for (const name of catalog.names()) {
    try {
      scripts.push(await catalog.examine(name));
    } catch (error) {
      broken += 1;
      process.stderr.write(`mediator-agent: not approved: ${printable(`${name}: ${Failure.from(error).message}`)}\n`);
    }
  }
  return { scripts, broken };
}

function approvalOf({ sha256, manifestSha256: manifest_sha256 }: Script, at: string, by: string): Approval {
  return { sha256, manifest_sha256, at, by };
}

function tableOf(rows: { script: Script; state: string; was: Approval | undefined }[]): string {
  return formatTable(
    ['SCRIPT', 'WAS', 'SHA-256', 'NOW', 'MANIFEST', 'NOW', 'APPROVED BEFORE'],
    rows.map(({ script, state, was }) => [
      script.name,
      state,
      short(was?.sha256),
      short(script.sha256),
      short(was?.manifest_sha256),
      short(script.manifestSha256),
      was === undefined ? '' : `${was.at} by ${was.by}`,
    ]),
  );
}

function short(sha256 = ''): string {
  return sha256.slice(0, 12);
}

function descriptionOf(manifest: Record<string, unknown> = {}): string {
  return typeof manifest.description === 'string' ? manifest.description : '';
}
