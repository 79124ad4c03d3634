#!/usr/bin/env node
/**
 * `mediator-agent`: the command line. This file only wires; each command is a file in cli/. The keeper is no command for people and loads nothing
 * of theirs, because it has to be small.
 */
try {
  if (process.argv[2] === 'keeper') {
    const { keep } = await import('./keeper/main.ts');
    await keep(process.argv.slice(3));
  } else {
    const { EXIT_UNREAD } = await import('./cli/terminal.ts');
    const { createProgram } = await import('./cli/program.ts');
    process.stdout.on('error', () => process.exit(EXIT_UNREAD)); // `mediator-agent runs list | head`: nobody reads any more
    await createProgram().parseAsync();
  }
} catch (error) {
  const { fail } = await import('./cli/terminal.ts');
  process.exitCode = fail(error);
}
