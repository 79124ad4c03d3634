/** The clean environment of a script: little from the agent, what the stub forwarded and the operator allows, the manifest's, and `MEDIATOR_*`. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Failure } from '../../protocol/failures.ts';
import type { Config } from '../config/config.ts';
import { matchesGlob } from '../config/glob.ts';
import { SHORTEST_SECRET } from '../keeper/masking.ts';

/** Taken over from the agent's own environment. */
const INHERITED = ['HOME', 'USER', 'LOGNAME', 'LANG', 'LC_ALL', 'LC_CTYPE', 'TZ', 'TMPDIR'];
/** Never taken from a stub, whatever agent.yaml allows: they are ours, or change what a program is. */
const PROTECTED =
  /^(MEDIATOR_|LD_|DYLD_|GCONV_PATH$|GLIBC_TUNABLES$|LOCPATH$|PATH$|IFS$|ENV$|BASH|SHELLOPTS$|PS4$|NODE_|PYTHON|PERL|RUBY|JAVA_TOOL_)/;

export interface EnvironmentSources {
  /** The agent's own environment. */
  agent: NodeJS.ProcessEnv;
  searchPath: string;
  /** From the stub. */
  forwarded: Record<string, string>;
  /** `environment` in agent.yaml: names and prefixes that a stub may forward. */
  allowed: string[];
  manifest: Record<string, string>;
  secrets: Record<string, string>;
  /** The variables that tell the script about its run. */
  mediator: Record<string, string>;
}

export function buildEnvironment(sources: EnvironmentSources): Record<string, string> {
  const inherited = Object.fromEntries(
    INHERITED.flatMap((name) => (sources.agent[name] === undefined ? [] : [[name, sources.agent[name]]])),
  );
  return {
    ...inherited,
    PATH: sources.searchPath,
    ...allowedOf(sources.forwarded, sources.allowed),
    ...sources.manifest,
    ...sources.secrets,
    ...sources.mediator,
  };
}

/** The forwarded variables that may be passed on. */
export function allowedOf(forwarded: Record<string, string>, allowed: string[]): Record<string, string> {
  const passes = (name: string): boolean => !PROTECTED.test(name) && allowed.some((pattern) => matchesGlob(pattern, name));
  return Object.fromEntries(Object.entries(forwarded).filter(([name]) => passes(name)));
}

/** Secrets by name from the credentials directory, one file each (systemd.exec(5), LoadCredential=). @throws Failure `cannot-start` */
export function readSecrets(folder: string | undefined, names: string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, readSecret(folder, name)]));
}

/**
 * The secrets that a manifest asks for. @throws Failure `cannot-start`, also for one that is too short to be masked in the history: it would stand
 * everywhere by chance
 */
export function scriptSecrets(folder: string | undefined, names: string[]): Record<string, string> {
  const secrets = readSecrets(folder, names);
  const short = names.find((name) => Buffer.byteLength(secrets[name] ?? '') < SHORTEST_SECRET);
  if (short === undefined) return secrets;
  throw new Failure(
    'cannot-start',
    `the secret ${short} is shorter than ${SHORTEST_SECRET} bytes, and could not be masked in the history; make it longer, or put it under env`,
  );
}

/** As far as they can be read now. */
export function knownSecrets({ credentials = process.env.CREDENTIALS_DIRECTORY }: Pick<Config, 'credentials'>, names: string[]): string[] {
  return names.flatMap((name) => {
    try {
      return [readSecret(credentials, name)];
    } catch {
      return [];
    }
  });
}

function readSecret(folder: string | undefined, name: string): string {
  if (folder === undefined) {
    throw new Failure('cannot-start', `the manifest asks for the secret ${name}, but agent.yaml names no credentials directory`);
  }
  try {
    return readFileSync(path.join(folder, name), 'utf8').replace(/\n$/, '');
  } catch (cause) {
    const denied = cause instanceof Error && 'code' in cause && cause.code === 'EACCES';
    const file = path.join(folder, name);
    const remedy = denied ? `it may not be read by the agent's user; let it, and nobody else, read ${file}` : `put it into ${file}`;
    throw new Failure('cannot-start', `the secret ${name}, which the manifest asks for, cannot be read from ${folder}: ${remedy}`, {
      cause,
    });
  }
}
