/** `check`: validates everything that `serve` would use, and starts nothing. */
import { loadConfig, type Config } from '../config/config.ts';
import { keyFaults } from './configuration.ts';
import { countFailures, faulty, ok, printFinding, type Finding } from './findings.ts';
import { smartConsoleFingerprint } from './fingerprint.ts';
import { inspectFront } from './inspections.ts';
import { inspectPlaces, inspectScripts } from './script-inspections.ts';
import { EXIT_CONFIG, EXIT_USAGE } from './terminal.ts';

/**
 * Prints a line for each thing that was checked. Resolves with the exit code: 0 if everything is well, 64 if agent.yaml has faults (those of the keys are said with them), 78 if keys,
 * certificate, secrets or places would keep the agent from starting, 1 if only scripts or tasks have problems.
 * @param file agent.yaml
 */
export async function check(file: string, { json }: { json?: boolean } = {}): Promise<number> {
  const print = (finding: Finding): void => {
    printFinding(finding, json);
  };
  const parsed = loadConfig(file);
  if (!parsed.ok) {
    [...parsed.problems, ...keyFaults(parsed.keys)].map(faulty).forEach(print);
    return EXIT_USAGE;
  }
  const config = parsed.value;
  const sidecar = config.upstream !== undefined; // has no scripts
  const front = inspectFront(config, Date.now());
  const places = sidecar ? [] : inspectPlaces(config);
  [...front, ...places].forEach(print);
  const broken = countFailures(front) + countFailures(places) > 0;
  if (!broken) wellSaid(config).forEach(print);
  const scripts = sidecar || countFailures(places) > 0 ? [] : await inspectScripts(config);
  scripts.forEach(print);
  if (broken) return EXIT_CONFIG;
  return countFailures(scripts) > 0 ? 1 : 0;
}

/** What is worth knowing of a configuration without faults. */
export function wellSaid({ file, tls }: Config): Finding[] {
  const fingerprint = tls === undefined ? [] : [ok('certificate', `for SmartConsole, ${smartConsoleFingerprint(tls.certificate)}`)];
  return [ok(`${file}, keys, certificate`), ...fingerprint];
}
