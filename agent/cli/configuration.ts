/** agent.yaml and keys.yaml as commands read them: every fault of both is said at once. */
import { Failure } from '../../protocol/failures.ts';
import { loadConfig, type Config } from '../config/config.ts';
import { credentialOr } from '../config/credentials.ts';
import { loadKeys, type Key } from '../config/keys.ts';
import { formatProblem, type Problem } from '../config/yaml-file.ts';
import { KeysError, UsageError } from './terminal.ts';

/** @throws UsageError that names file, line and field of every fault */
export function readConfig(file: string): Config {
  const parsed = loadConfig(file);
  if (parsed.ok) return parsed.value;
  throw new UsageError(listed(parsed.problems));
}

/** For those who serve. @throws UsageError if agent.yaml has faults, KeysError if the keys alone have some; each names those of both */
export function readConfigAndKeys(file: string): Config {
  const parsed = loadConfig(file);
  const faults = keyFaults(parsed.ok ? parsed.value.keys : parsed.keys);
  if (!parsed.ok) throw new UsageError(listed([...parsed.problems, ...faults]));
  if (faults.length > 0) throw new KeysError(listed(faults));
  return parsed.value;
}

/** What is wrong with the keys that the front would take. @param file undefined if agent.yaml does not say where they are */
export function keyFaults(file: string | undefined): Problem[] {
  if (file === undefined) return [];
  try {
    const keys = loadKeys(credentialOr(file));
    return keys.ok ? [] : keys.problems;
  } catch (error) {
    return [{ file, line: 0, field: '', message: Failure.from(error).message.replace(`${file} `, '') }];
  }
}

/** @throws KeysError that names file, line and field of every fault */
export function readKeys({ keys: file }: Pick<Config, 'keys'>): Key[] {
  const keys = loadKeys(file);
  if (keys.ok) return keys.value;
  throw new KeysError(listed(keys.problems));
}

function listed(problems: Problem[]): string {
  return problems.map(formatProblem).join('\nmediator-agent: ');
}
