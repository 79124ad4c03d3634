/** `doctor`: looks at an installation while it lives, and prints a line for each thing: `ok`, or what to do. Changes nothing. */
import { version } from '../../config/version.ts';
import type { Config } from '../../config/config.ts';
import { countFailures, ok, printFinding, type Finding } from '../findings.ts';
import { inspectFront } from '../inspections.ts';
import { inspectPlaces, inspectScripts } from '../script-inspections.ts';
import { wellSaid } from '../check.ts';
import { examineAdmin, examineFront, examineKeys, examineRunner, examineUpstream } from './answers.ts';
import { examineClock, examineInterpreters, examineNode } from './machine.ts';
import { examineLimits } from './processes.ts';
import { examineState } from './state.ts';
import { examineUnits } from './units.ts';

type Step = (config: Config) => Finding[] | Promise<Finding[]>;

/** In the order of their causes: what is wrong above may be why something below is. */
const ALWAYS: Step[] = [
  () => [ok('agent', `mediator-agent ${version()}`), ...examineNode()],
  (config) => {
    const front = inspectFront(config, Date.now());
    return countFailures(front) > 0 ? front : [...wellSaid(config), ...front];
  },
  examineClock,
];
const AGENT: Step[] = [
  async (config) => {
    const places = inspectPlaces(config);
    return [...places, ...(countFailures(places) > 0 ? [] : await inspectScripts(config))];
  },
  examineInterpreters,
  examineState,
  examineRunner,
];
const LIVING: Step[] = [examineKeys, examineFront, examineAdmin, examineUnits, examineLimits];

/** Prints as it goes. Resolves with the exit code: 1 if anything failed. */
export async function doctor(config: Config, { json }: { json?: boolean }): Promise<number> {
  const steps = [...ALWAYS, ...(config.upstream === undefined ? AGENT : [examineUpstream]), ...LIVING];
  let failures = 0;
  for (const step of steps) {
    const findings = await step(config);
    for (const finding of findings) printFinding(finding, json);
    failures += countFailures(findings);
  }
  return failures > 0 ? 1 : 0;
}
