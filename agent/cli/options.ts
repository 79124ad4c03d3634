/** What commands have in common. */
import type { Command } from 'commander';

export interface WithConfig {
  config: string;
}

export function configured(command: Command): Command {
  return command.requiredOption('--config <file>', 'the agent.yaml to use');
}

export function listing(command: Command): Command {
  return configured(command).option('--json', 'one JSON object a line');
}

export function exit(code: number): void {
  process.exitCode = code;
}
