/** The commands and their options. */
import { Argument, Command, Option } from 'commander';
import { HOSTS, type Start } from '../../protocol/messages.ts';
import { version } from '../config/version.ts';
import { check } from './check.ts';
import { readConfig } from './configuration.ts';
import { bashCompletion } from './completion.ts';
import { addExamples } from './examples.ts';
import { doctor } from './doctor/doctor.ts';
import { init, type InitOptions } from './init.ts';
import { addKeys } from './keys-commands.ts';
import { configured, exit, listing, type WithConfig } from './options.ts';
import { run } from './run.ts';
import { addRuns } from './runs-commands.ts';
import { approveScripts, listScripts, showScript, type ApproveOptions } from './scripts.ts';
import { addSimulate } from './simulate/command.ts';
import { PARTS } from './serve.ts';
import { stub, type StubOptions } from './stub.ts';
import { listTasks, showTask, testTask } from './tasks.ts';
import { Concluded, EXIT_USAGE } from './terminal.ts';

export function createProgram(): Command {
  const program = new Command('mediator-agent')
    .description('Runs the scripts that Tufin SecureChange and Check Point call, outside of their pods, unchanged.')
    .version(version())
    .exitOverride(({ exitCode }) => {
      throw new Concluded(exitCode === 0 ? 0 : EXIT_USAGE);
    })
    .enablePositionalOptions()
    .showHelpAfterError('(mediator-agent --help shows what there is)')
    .addHelpText('after', '\nStart with: mediator-agent init --dir mediator\nEach command has examples: mediator-agent keys create --help');

  program
    .command('init')
    .description('make a working installation in an empty folder: configuration, key, certificate, examples')
    .requiredOption('--dir <folder>', 'the folder to make')
    .option('--listen <address:port>', 'where stubs connect with TLS', '0.0.0.0:8443')
    .option('--plaintext <address:port>', 'also listen without TLS')
    .option('--admin <address:port>', 'where health, metrics and the web page are', '127.0.0.1:9443')
    .option('--name <dns-or-ip...>', 'the names by which stubs dial this agent (default: host name, localhost, 127.0.0.1)', [])
    .option('--state <folder>', 'where journal and spool are', 'state')
    .option('--socket <file>', "the runner's socket (default: in the state folder)")
    .option('--credentials <folder>', 'where the secrets are that manifests ask for')
    .action((options: InitOptions) => init(options));

  for (const [name, text, read, start] of PARTS) {
    configured(program.command(name).description(text)).action(({ config }: WithConfig) => start(read(config)));
  }
  listing(program.command('check').description('validate configuration, keys, certificate and scripts; start nothing')).action(
    async ({ config, ...options }: WithConfig & { json?: boolean }) => exit(await check(config, options)),
  );
  listing(program.command('doctor').description('look at the running installation: a line for each thing, ok or what to do')).action(
    async ({ config, ...options }: WithConfig & { json?: boolean }) => exit(await doctor(config, options)),
  );

  configured(program.command('stub').description('make a ready stub: the file to push into the pod. It is a secret'))
    .option('--output <file>', 'write it there, readable for you alone (default: print it)')
    .option(
      '--url <url>',
      'where the stub connects; several, separated by spaces, are tried in order (default: the first name and address in agent.yaml)',
    )
    .addOption(new Option('--order <order>', 'in which several URLs are tried').choices(['listed', 'random']).default('listed'))
    .option('--key <key>', 'the key that the stub carries (default: the first)')
    .option('--script <script>', "the script that it calls; all its arguments are then the script's (default: the first argument)")
    .option(
      '--event <event>',
      'an event instead of a script: every enabled task of this trigger runs ("SCW_EVENT": the one that SecureChange names)',
    )
    .addOption(new Option('--host <host>', 'the system that calls').choices([...HOSTS]).default('generic'))
    .option('--timeout <seconds>', 'how long the caller will wait')
    .option('--plaintext', 'without TLS, also to other machines')
    .option('--fail-open', 'Check Point: print a success verdict if the agent cannot be reached')
    .option('--fail-closed', 'Check Point: print a failure verdict if the agent cannot be reached')
    .action(({ config, ...options }: WithConfig & StubOptions) => stub(readConfig(config), options));

  configured(program.command('run <script> [args...]').description('run a script here, through the same way as a stub, with this stdin'))
    .addOption(new Option('--host <host>', 'as if this system called').choices([...HOSTS]).default('generic'))
    .passThroughOptions()
    .action(async (script: string, args: string[], { config, host }: WithConfig & { host: Start['host'] }) =>
      exit(await run(readConfig(config), script, args, host)),
    );

  const scripts = program.command('scripts').description('the scripts folder');
  listing(scripts.command('list').description('all scripts, and what is wrong with those that cannot run')).action(
    ({ config, ...options }: WithConfig & { json?: boolean }) => listScripts(readConfig(config), options),
  );
  listing(scripts.command('show <script>').description('one script: how it would be started, and its manifest')).action(
    async (name: string, { config, ...options }: WithConfig & { json?: boolean }) =>
      exit(await showScript(readConfig(config), name, options)),
  );

  listing(
    scripts
      .command('approve [scripts...]')
      .description('let a script run that is new or was changed, as it is now; for whoever may write approvals.json'),
  )
    .option('--all', 'all that wait for approval')
    .option('--sha256 <hash>', 'only if it is still this: at least its first 12 digits')
    .action(async (names: string[], { config, ...options }: WithConfig & ApproveOptions) =>
      exit(await approveScripts(readConfig(config), names, options)),
    );

  const tasks = program.command('tasks').description('the tasks: what happens at an event for which no script is named');
  listing(tasks.command('list').description('all task files, and what is wrong with those that cannot be used')).action(
    ({ config, ...options }: WithConfig & { json?: boolean }) => listTasks(readConfig(config), options),
  );
  listing(tasks.command('show <task>').description('one task')).action(
    async (name: string, { config, ...options }: WithConfig & { json?: boolean }) => {
      exit(await showTask(readConfig(config), name, options));
    },
  );
  configured(
    tasks.command('test <task>').description('carry out one task, enabled or not, with this stdin as the payload or ticket'),
  ).action(async (name: string, { config }: WithConfig) => {
    exit(await testTask(readConfig(config), name));
  });

  addKeys(program);
  addRuns(program);
  addSimulate(program);
  program
    .command('completion')
    .description('print what lets bash complete commands, options, scripts, keys and runs')
    .addArgument(new Argument('<shell>').choices(['bash']))
    .action(() => {
      process.stdout.write(bashCompletion(program));
    });
  addExamples(program);
  return program;
}
