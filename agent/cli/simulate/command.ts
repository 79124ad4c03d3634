/** The options of `simulate`, and the help that explains it. */
import { Option, type Command } from 'commander';
import { z } from 'zod';
import type { Kind } from '../../config/kinds.ts';
import { Size } from '../../config/units.ts';
import { readConfig } from '../configuration.ts';
import { configured } from '../options.ts';
import { UsageError } from '../terminal.ts';
import { TRIGGERS } from './payloads.ts';
import { EVENTS } from './securechange.ts';
import { readInput, simulate, type SimulateOptions } from './simulate.ts';

interface Given {
  config: string;
  script?: string;
  tasks?: boolean;
  kind?: Kind;
  event?: string[];
  trigger?: string[];
  ticket?: string;
  payload?: string;
  argument?: string;
  customData?: string;
  size?: string;
  url?: string;
  key?: string;
  plaintext?: boolean;
  failClosed?: boolean;
  timeOut: string;
  json?: boolean;
}

const SECURECHANGE_KINDS = ['trigger', 'condition', 'assignment', 'pre-assignment', 'risk', 'validation'] as const satisfies Kind[];

export function addSimulate(program: Command): void {
  const command = program
    .command('simulate')
    .description('play SecureChange or Check Point against the running agent, and tell what the host would have concluded')
    .addHelpText('after', '\nScripts really run, with tickets and sessions that do not exist. Try it before you push a stub anywhere.');

  common(command.command('securechange'))
    .description('every event, the Test button, up to five tries for what fails, and five identical calls at once')
    .addOption(
      new Option('--kind <kind>', 'what it is registered as (default: kind in its manifest, else trigger)').choices(SECURECHANGE_KINDS),
    )
    .option('--event <event...>', `of a trigger (default: ${EVENTS.join(' ')})`)
    .option('--argument <text>', 'the Arguments field of the registration; it arrives as one argument')
    .option('--ticket <file>', 'send this XML; byte for byte, but with a new updateDate, so that it is a new event')
    .option('--size <bytes>', 'fill our tickets up to this size, for instance 200KiB')
    .option('--time-out <seconds>', 'how long SecureChange waits; no limit is documented', '600')
    .addHelpText('after', SECURECHANGE_HELP)
    .action(async (given: Given) => {
      process.exitCode = await simulate(readConfig(given.config), 'securechange', wishesOf(given));
    });

  common(command.command('checkpoint'))
    .description('every trigger with its payload as Base64, from 1 kB to 1 MB, and a stdin that never ends')
    .option('--trigger <trigger...>', `of the SmartTask (default: those that fit kind in the manifest, of ${TRIGGERS.join(', ')})`)
    .option('--payload <file>', 'send this JSON; byte for byte, as Base64')
    .option('--custom-data <json>', "the SmartTask's custom data, an object")
    .option('--size <bytes>', 'only payloads of this size (default: as usual, then up to 1 MB)')
    .option('--time-out <seconds>', "the SmartTask's time-out", '30')
    .option('--fail-closed', "the SmartTask's fail-open is false, and the stub is made with --fail-closed")
    .addHelpText('after', CHECKPOINT_HELP)
    .action(async (given: Given) => {
      process.exitCode = await simulate(readConfig(given.config), 'checkpoint', wishesOf(given));
    });
}

function common(command: Command): Command {
  return configured(command)
    .option('--script <script>', 'the script (default: every one whose manifest names this host)')
    .option('--tasks', 'call the events themselves, without a script: every enabled task of each runs')
    .option('--url <url>', 'where the stub connects (default: as for the command stub)')
    .option('--key <key>', 'the key that the stub carries (default: the first)')
    .option('--plaintext', 'without TLS, also to other machines')
    .option('--json', 'one JSON object a line');
}

/** @throws UsageError */
function wishesOf(given: Given): SimulateOptions {
  const seconds = Number(given.timeOut);
  if (!(seconds > 0 && seconds <= 86_400)) throw new UsageError(`--time-out ${given.timeOut}: give seconds, for instance 30`);
  const size = given.size === undefined ? undefined : Size.safeParse(given.size);
  if (size?.success === false) throw new UsageError(`--size ${given.size ?? ''}: give bytes, for instance 64KiB`);
  if (given.tasks === true && given.script !== undefined) throw new UsageError('give --script or --tasks, not both');
  return {
    script: given.script,
    tasks: given.tasks === true,
    kind: given.kind,
    events: given.event ?? [],
    triggers: given.trigger ?? [],
    size: size?.data,
    input: readInput(given.ticket ?? given.payload),
    argument: given.argument,
    customData: customDataOf(given.customData),
    failOpen: given.failClosed !== true,
    url: given.url,
    key: given.key,
    plaintext: given.plaintext === true,
    json: given.json === true,
    patience: seconds * 1000,
  };
}

/** @throws UsageError */
function customDataOf(json = '{}'): Record<string, unknown> {
  try {
    return z.record(z.string(), z.unknown()).parse(JSON.parse(json));
  } catch {
    throw new UsageError(`--custom-data ${json}: give a JSON object, for instance '{"session-name-format":"CR"}'`);
  }
}

const READING = `
Reading the table:
  ok       the host got what it asked for, be it a yes or a no
  warn     it goes on, but not as you would want it: look at the remark below the table
  unasked  the call cannot be made, here or in place; nothing is wrong with the script
  FAIL     the host got no proper conclusion: the remark says why

Exit code: 0 if there is no FAIL, else 1. A table goes to stdout, progress to stderr.
`;

const SECURECHANGE_HELP = `
What is asked of which kind:
  trigger         the Test button, and every event with a new ticket; a failure is tried up to five times
  condition       argument: the ticket id; answer: <response><condition_result>true or false
  assignment      argument: the ticket id; answer: <tasks>
  pre-assignment  SCW_EVENT=PRE_ASSIGNMENT_SCRIPT; the exit code is the answer
  risk            a draft with three access requests; each of them needs its result
  validation      the exit code is the answer
Then five identical calls at once: a repeated event of a trigger must be one run, and all five get its output and exit code.

Examples:
  mediator-agent simulate securechange --config agent.yaml --script close-ticket --event CLOSE
  mediator-agent simulate securechange --config agent.yaml --script approve --kind condition --ticket ticket.xml
${READING}`;

const CHECKPOINT_HELP = `
What is asked of which trigger:
  Before …   exit code 0 and {"result":"success"} or {"result":"failure","message":"…"}; everything else is a failure to run, and fail-open decides
  others     exit code 0 is success
An argument holds at most 131,071 bytes, and Base64 grows by a third: payloads over 98,301 bytes of JSON cannot be passed, and are reported so.

Examples:
  mediator-agent simulate checkpoint --config agent.yaml --script check-session-name --custom-data '{"session-name-format":"CR"}'
  mediator-agent simulate checkpoint --config agent.yaml --script report --trigger 'After Install Policy' --size 50kB
${READING}`;
