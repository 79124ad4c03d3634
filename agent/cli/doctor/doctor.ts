/** `doctor`: looks at an installation while it lives, and prints a line for each thing: `ok`, or what to do. Changes nothing. */
import path from 'node:path';
import { loadConfig, type Config } from '../../config/config.ts';
import { version } from '../../config/version.ts';
import type { Problem } from '../../config/yaml-file.ts';
import { countFailures, faulty, ok, printFinding, warn, type Finding } from '../findings.ts';
import { inspectFront } from '../inspections.ts';
import { inspectPlaces, inspectScripts } from '../script-inspections.ts';
import { wellSaid } from '../check.ts';
import { keyFaults } from '../configuration.ts';
import { examineAdmin, examineFront, examineKeys, examineRunner, examineUpstream } from './answers.ts';
import { examineClock, examineInterpreters, examineNode } from './machine.ts';
import { examineLimits } from './processes.ts';
import { examineState } from './state.ts';
import { examineUnits } from './units.ts';

type Step = (config: Config) => Finding[] | Promise<Finding[]>;

/** In the order of their causes: what is wrong above may be why something below is. */
const AGENT: Step[] = [
  async (config) => {
    const places = inspectPlaces(config);
    return [...places, ...(countFailures(places) > 0 ? [] : await inspectScripts(config))];
  },
  examineInterpreters,
  examineState,
  examineRunner,
];
const LIVING: Step[] = [
  examineKeys,
  examineFront,
  examineAdmin,
  (config) => examineUnits(config, countFailures(inspectFront(config, Date.now())) === 0),
  examineLimits,
];

/** Prints as it goes. Resolves with the exit code: 1 if anything failed. @param file agent.yaml */
export async function doctor(file: string, { json }: { json?: boolean }): Promise<number> {
  const parsed = loadConfig(file);
  const steps = parsed.ok ? stepsWith(parsed.value) : stepsWithout(file, [...parsed.problems, ...keyFaults(parsed.keys)]);
  let failures = 0;
  for (const step of [() => [ok('agent', `mediator-agent ${version()}`), ...examineNode()], ...steps]) {
    const findings = await step();
    for (const finding of findings) printFinding(finding, json);
    failures += countFailures(findings);
  }
  return failures > 0 ? 1 : 0;
}

function stepsWith(config: Config): (() => ReturnType<Step>)[] {
  const settings: Step = () => {
    const front = inspectFront(config, Date.now());
    return countFailures(front) > 0 ? front : [...wellSaid(config), ...front];
  };
  const steps = [settings, examineClock, ...(config.upstream === undefined ? AGENT : [examineUpstream]), ...LIVING];
  return steps.map((step) => () => step(config));
}

/** What can be said although agent.yaml has faults. A running agent goes on with what it had. */
function stepsWithout(file: string, problems: Problem[]): (() => ReturnType<Step>)[] {
  const rest = warn('the rest', 'was not looked at: it is found by way of agent.yaml; mend that, and call doctor again');
  return [() => problems.map(faulty), examineClock, () => examineUnits({ file: path.resolve(file) }, false), () => [rest]];
}
