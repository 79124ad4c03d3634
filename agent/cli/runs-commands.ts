/** `runs` and what it offers. */
import { Option, type Command } from 'commander';
import { OUTCOME_NAMES } from '../../protocol/outcomes.ts';
import { configured, exit, listing, type WithConfig } from './options.ts';
import { cancelRun, listRuns, logs, rerun, showRun, type ListOptions } from './runs.ts';
import { readConfig } from './terminal.ts';
import { verifyRuns, type VerifyOptions } from './verify.ts';

export function addRuns(program: Command): void {
  const runs = program.command('runs').description('the runs, present and past');
  listing(runs.command('list').description('newest first'))
    .option('--ticket <id>', 'of this SecureChange ticket')
    .option('--script <name>', 'of this script')
    .option('--event <event>', 'of this event')
    .addOption(new Option('--outcome <outcome>', 'that ended so').choices(OUTCOME_NAMES))
    .option('--key <id>', 'of this key')
    .option('--limit <count>', 'at most so many', '100')
    .action(({ config, ...options }: WithConfig & ListOptions) => listRuns(readConfig(config), options));
  listing(runs.command('show <run>').description('everything that is known of a run')).action(
    (id: string, { config, ...options }: WithConfig & { json?: boolean }) => showRun(readConfig(config), id, options),
  );
  configured(runs.command('logs <run>').description('what a run printed, stdout on stdout, stderr on stderr'))
    .option('-f, --follow', 'exit with the exit code of the run')
    .action(async (id: string, { config, ...options }: WithConfig & { follow?: boolean }) =>
      exit(await logs(readConfig(config), id, options)),
    );
  configured(runs.command('cancel <run>').description('end a run that goes on')).action((id: string, { config }: WithConfig) =>
    cancelRun(readConfig(config), id),
  );
  configured(runs.command('rerun <run>').description('run the script once more with the same input')).action(
    async (id: string, { config }: WithConfig) => exit(await rerun(readConfig(config), id)),
  );

  listing(runs.command('verify').description('whether every run and its output is still as it was written; needs no running agent'))
    .option('--head <seq:link>', 'the chain must have this link, which an earlier verification or the log named')
    .action(async ({ config, ...options }: WithConfig & VerifyOptions) => exit(await verifyRuns(readConfig(config), options)));
}
