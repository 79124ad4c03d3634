/** agent.yaml read once more, while the agent runs. */
import { isDeepStrictEqual } from 'node:util';
import { Failure } from '../../protocol/failures.ts';
import { loadConfig, type Config } from './config.ts';
import { formatProblem } from './yaml-file.ts';

/**
 * The new configuration, for {@link takeConfig} once everything else that it names could be read as well: a reload takes all or nothing.
 * @param fixed fields that are used at the start alone
 * @throws Failure if the file has faults, or one of those fields has changed
 */
export function rereadConfig(config: Config, fixed: readonly (keyof Config)[]): Config {
  const parsed = loadConfig(config.file);
  if (!parsed.ok) throw new Failure('internal', parsed.problems.map(formatProblem).join('; '));
  const changed = fixed.filter((field) => !isDeepStrictEqual(parsed.value[field], config[field]));
  if (changed.length === 0) return parsed.value;
  throw new Failure('internal', `${config.file}: ${changed.join(', ')}: changes need a restart, not a reload`);
}

/** `config` becomes what `fresh` is; what is not in there any more goes, too. */
export function takeConfig(config: Config, fresh: Config): void {
  for (const field of Object.keys(config)) if (!(field in fresh)) Reflect.deleteProperty(config, field);
  Object.assign(config, fresh);
}
