/** `runs` and what it offers. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { FAILURE_CODES } from '../../protocol/failures.ts';
import { OUTCOME_NAMES } from '../../protocol/outcomes.ts';
import { configured, exit, listing, type WithConfig } from './options.ts';
import { listRefused, type RefusedOptions } from './refusals.ts';
import type { ListOptions } from './run-query.ts';
import { cancelRun, exportRuns, listRuns, logs, rerun, showRun, type LogOptions } from './runs.ts';
import { readConfig } from './configuration.ts';
import { verifyRuns, type VerifyOptions } from './verify.ts';

export function addRuns(program: Command): void {
  const runs = program.command('runs').description('the runs, present and past');
  withOutcome(filtered(listing(runs.command('list').description('newest first')), 'accepted'))
    .addOption(limit())
    .action(({ config, ...options }: WithConfig & ListOptions) => listRuns(readConfig(config), options));
  const everything = 'everything that is known of them, one JSON object a line, newest first';
  withOutcome(filtered(configured(runs.command('export').description(everything)), 'accepted')).action(
    ({ config, ...options }: WithConfig & ListOptions) => exportRuns(readConfig(config), options),
  );
  filtered(
    listing(runs.command('refused').description('calls of which there is no run, because they were refused; newest first')),
    'refused',
  )
    .addOption(new Option('--code <failure>', 'that were refused so').choices(FAILURE_CODES))
    .addOption(limit())
    .action(({ config, ...options }: WithConfig & RefusedOptions) => listRefused(readConfig(config), options));
  listing(runs.command('show <run>').description('everything that is known of a run')).action(
    (id: string, { config, ...options }: WithConfig & { json?: boolean }) => showRun(readConfig(config), id, options),
  );
  listing(runs.command('logs <run>').description('what a run printed, in the order in which it did: stdout on stdout, stderr on stderr'))
    .option('-f, --follow', 'exit with the exit code of the run')
    .option('--stdout', 'stdout alone')
    .option('--stderr', 'stderr alone')
    .action(async (id: string, { config, ...options }: WithConfig & LogOptions) => exit(await logs(readConfig(config), id, options)));
  listing(runs.command('cancel <run>').description('end a run that goes on')).action(
    (id: string, { config, ...options }: WithConfig & { json?: boolean }) => cancelRun(readConfig(config), id, options),
  );
  listing(runs.command('rerun <run>').description('run the script once more with the same input')).action(
    async (id: string, { config, ...options }: WithConfig & { json?: boolean }) => exit(await rerun(readConfig(config), id, options)),
  );

  listing(runs.command('verify').description('whether every run and its output is still as it was written; needs no running agent'))
    .option('--head <seq:link>', 'the chain must have this link, which an earlier verification or the log named')
    .action(async ({ config, ...options }: WithConfig & VerifyOptions) => exit(await verifyRuns(readConfig(config), options)));
}

/** What a list can be narrowed to. @param what happened at the time that is asked for */
function filtered(command: Command, what: 'accepted' | 'refused'): Command {
  return command
    .option('--ticket <id>', 'of this SecureChange ticket')
    .option('--script <script>', 'of this script')
    .option('--event <event>', 'of this event')
    .option('--key <key>', 'of this key')
    .option('--since <when>', `${what} then or later: 2026-11-24, 2026-11-24T12:00:00Z, or how long ago: 2h, 7d`)
    .option('--until <when>', `${what} before`);
}

/** As the runner takes it. */
const MOST = 10_000;

function limit(): Option {
  return new Option('--limit <count>', `at most so many, up to ${MOST}`).default('100').argParser((text: string) => {
    if (/^[1-9]\d{0,4}$/.test(text) && Number(text) <= MOST) return text;
    throw new InvalidArgumentError(`It is not a number from 1 to ${MOST}.`);
  });
}

function withOutcome(command: Command): Command {
  return command.addOption(new Option('--outcome <outcome>', 'that ended so').choices(OUTCOME_NAMES));
}
