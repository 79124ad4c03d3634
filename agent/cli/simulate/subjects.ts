/** Which scripts are played, and what their manifests say about them. */
import { z } from 'zod';
import { Failure } from '../../../protocol/failures.ts';
import type { Config } from '../../config/config.ts';
import { KIND_NAMES, type Kind } from '../../config/kinds.ts';
import { callRunner } from '../../wire/runner-api.ts';
import { UsageError } from '../terminal.ts';
import type { Subject } from './question.ts';

const Script = z.object({
  name: z.string(),
  manifest: z
    .object({ host: z.string().optional(), kind: z.enum(KIND_NAMES).optional(), retries: z.enum(['attach', 'run']).optional() })
    .optional(),
});
type Script = z.output<typeof Script>;

/** The event itself, as a stub without a script calls it. */
export const EVENT: Subject = { script: undefined, kind: undefined, joins: false };

/**
 * @param script one script by its name; undefined: every one whose manifest names this host
 * @param kind overrides the manifest's
 * @throws UsageError if there is none, Failure if the agent does not run and no script was named
 */
export async function subjectsOf(config: Config, host: string, script?: string, kind?: Kind): Promise<Subject[]> {
  if (script !== undefined) return [subjectOf(await describe(config, script), script, kind)];
  const { scripts } = z.object({ scripts: z.array(Script) }).parse(await callRunner(config.socket, 'GET', '/v1/scripts'));
  const ours = scripts.filter(({ manifest }) => manifest?.host === host && (kind === undefined || manifest.kind === kind));
  if (ours.length > 0) return ours.map((one) => subjectOf(one, one.name));
  throw new UsageError(`no manifest says "host: ${host}"${kind === undefined ? '' : ` and "kind: ${kind}"`}; name a script with --script`);
}

/** A script that cannot be found, or an agent that is not there, is what the host would meet too: the calls will tell. */
async function describe({ socket }: Config, script: string): Promise<Script | undefined> {
  try {
    return Script.parse(await callRunner(socket, 'GET', `/v1/scripts/${script.split('/').map(encodeURIComponent).join('/')}`));
  } catch (error) {
    process.stderr.write(`simulate: ${Failure.from(error).message}\n`);
    return undefined;
  }
}

function subjectOf(described: Script | undefined, script: string, kind = described?.manifest?.kind): Subject {
  const retries = described?.manifest?.retries;
  return { script, kind, joins: retries === 'attach' || (retries === undefined && (kind === undefined || kind === 'trigger')) };
}
