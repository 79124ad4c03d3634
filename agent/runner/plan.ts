/** Everything that is decided about a run before anything happens: what is started, where, with what, and within which limits. */
import path from 'node:path';
import type { Script } from '../catalog/catalog.ts';
import { stemOf } from '../catalog/names.ts';
import type { Config } from '../config/config.ts';
import type { Limits } from '../process/group.ts';
import { allowedOf, buildEnvironment, scriptSecrets } from './environment.ts';
import type { Invocation } from './invocation.ts';

export interface Plan {
  script: Script;
  /** Milliseconds after its start in which its interpreter may still be reading it. */
  settle: number;
  program: string;
  /** Arguments before those of the invocation. */
  leading: string[];
  cwd: string;
  env: Record<string, string>;
  /** The script's private folder, which persists. */
  state: string;
  /** `NAME=VALUE`: the variable that marks every process of the run. */
  mark: string;
  /** Milliseconds. */
  timeout: number;
  /** Milliseconds between TERM and KILL. */
  grace: number;
  /** Bytes of stdout and stderr together. */
  outputLimit: number;
  /** As far as the system can enforce them. */
  limits: Limits;
  /** Forwarded variables that are passed on. */
  forwarded: Record<string, string>;
  /** Values that are masked in the history and in messages, by their variables. */
  secrets: Record<string, string>;
}

export function planRun(run: string, script: Script, invocation: Invocation, config: Config): Plan {
  const { manifest } = script;
  const [program, ...leading] = script.command;
  const state = path.join(config.state, 'scripts', stemOf(script.name));
  const forwarded = allowedOf(invocation.env, config.environment);
  const secrets = scriptSecrets(config.credentials ?? process.env.CREDENTIALS_DIRECTORY, manifest.secrets);
  const mediator = {
    MEDIATOR_RUN: run,
    MEDIATOR_SCRIPT: script.name,
    MEDIATOR_HOST: invocation.host,
    MEDIATOR_STATE: state,
    ...invocation.extra,
  };
  return {
    script,
    settle: config.settle,
    program,
    leading,
    cwd: manifest.cwd === 'state' ? state : path.resolve(path.dirname(script.file), manifest.cwd ?? '.'),
    env: buildEnvironment({
      agent: process.env,
      searchPath: config.path,
      forwarded,
      allowed: config.environment,
      manifest: manifest.env,
      secrets,
      mediator,
    }),
    state,
    mark: markOf(run),
    timeout: Math.min(manifest.timeout ?? config.defaults.timeout, invocation.patience ?? Infinity),
    grace: manifest.grace ?? config.defaults.grace,
    outputLimit: manifest['output-limit'] ?? config.defaults['output-limit'],
    limits: manifest.limits,
    forwarded,
    secrets,
  };
}

export function markOf(run: string): string {
  return `MEDIATOR_RUN=${run}`;
}
