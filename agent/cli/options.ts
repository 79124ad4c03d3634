/** What commands have in common. */
import type { Command } from 'commander';

export interface WithConfig {
  config: string;
}

/** Where install.sh puts it. */
const INSTALLED = '/etc/mediator/agent.yaml';

export function configured(command: Command): Command {
  return command.option('--config <file>', 'the agent.yaml to use', INSTALLED);
}

export function listing(command: Command): Command {
  return configured(command).option('--json', 'one JSON object a line');
}

export function exit(code: number): void {
  process.exitCode = code;
}
