#!/usr/bin/env node
/** `mediator-agent`: the command line. This file only wires; each command is a file in cli/. */
import { createProgram } from './cli/program.ts';
import { EXIT_UNREAD, fail } from './cli/terminal.ts';

process.stdout.on('error', () => process.exit(EXIT_UNREAD)); // `mediator-agent runs list | head`: nobody reads any more

try {
  await createProgram().parseAsync();
} catch (error) {
  process.exitCode = fail(error);
}
