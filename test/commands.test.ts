/** Every command line that a document or a help shows is one that can be typed: its command, its options and its arguments exist. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { suite, test } from 'node:test';
import type { Command, Option } from 'commander';
import { z } from 'zod';
import { leavesOf } from '../agent/cli/completion.ts';
import { createProgram } from '../agent/cli/program.ts';
import { ROOT } from './helpers/command.ts';

const program = createProgram();
const documents = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.md'], { cwd: ROOT, encoding: 'utf8' })
  .split('\n')
  .filter(Boolean);

suite('commands in the documents', () => {
  test('exist, with their options and arguments', () => {
    const shown = documents.flatMap((file) => commandsIn(readFileSync(path.join(ROOT, file), 'utf8')).map((line) => [file, line] as const));
    assert.ok(shown.length > 25, `only ${shown.length} commands were found`);
    assert.deepEqual(
      shown.flatMap(([file, line]) => faultsOf(line).map((fault) => `${file}: ${line}: ${fault}`)),
      [],
    );
  });
  test('that npm runs exist', () => {
    const { scripts } = z
      .object({ scripts: z.record(z.string(), z.string()) })
      .parse(JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')));
    for (const file of documents) {
      for (const [, name = ''] of readFileSync(path.join(ROOT, file), 'utf8').matchAll(/npm run ([\w:-]+)/g))
        assert.ok(name in scripts, `${file}: npm run ${name}`);
    }
  });
});

suite('the help of every command', () => {
  for (const [name, command] of leavesOf(program)) {
    if (command.commands.length > 0) continue;
    test(`has examples that can be typed: ${name}`, () => {
      let help = '';
      command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp();
      const lines = commandsIn(`\`\`\`sh\n${help.slice(help.indexOf('\nExamples:\n'))}\n\`\`\``);
      assert.ok(help.includes('\nExamples:\n') && lines.length > 0, help);
      assert.deepEqual(lines.flatMap(faultsOf), []);
    });
  }
});

suite('the check of commands', () => {
  test('finds what does not exist, what is missing, and what is too much', () => {
    for (const line of ['runs lst', 'check --confg x', 'keys create', 'scripts show a b', 'stub --host other', 'init', 'stub --key'])
      assert.notDeepEqual(faultsOf(`mediator-agent ${line}`), [], line);
  });
  test('takes what can be typed', () => {
    for (const line of [
      'runs logs RUN -f',
      "keys create a --scripts 'close-*' b --expires 90d",
      'run x --any thing',
      'stub > file',
      'check && sudo systemctl reload x',
      'runs verify --head SEQ:LINK # comment',
    ])
      assert.deepEqual(faultsOf(`mediator-agent ${line}`), [], line);
  });
});

/** Of fenced `sh` blocks, and of text in backticks that is more than the name of a command. */
function commandsIn(text: string): string[] {
  const fenced = [...text.matchAll(/^```sh\n([^]*?)^```/gm)].flatMap(([, block = '']) => block.split('\n'));
  const inline = [...text.replace(/^```[^]*?^```/gm, '').matchAll(/`([^`\n]+)`/g)]
    .map(([, code = '']) => code)
    .filter((code) => /^(sudo )?mediator-agent \S+ \S/.test(code));
  return [...fenced, ...inline].flatMap((line) => /(?:^|[\s(])(mediator-agent( .*)?)$/.exec(line)?.[1] ?? []);
}

/** What is wrong with a line; nothing if it could be typed. */
function faultsOf(line: string): string[] {
  const words = wordsOf(line).slice(1);
  let command: Command = program;
  while (command.commands.length > 0) {
    const name = words[0] ?? '';
    if (command === program && (name === '--help' || name === '--version')) return [];
    const next = command.commands.find((child) => child.name() === name);
    if (next === undefined) return name === '' || name === '--help' ? [] : [`there is no command ${name}`];
    command = next;
    words.shift();
  }
  return faultsOfWords(command, words);
}

function faultsOfWords(command: Command, words: string[]): string[] {
  const faults: string[] = [];
  const given = new Set<string>();
  const values: string[] = [];
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === '--help') return [];
    const option = command.options.find(({ long, short }) => word === long || word === short);
    if (option !== undefined) {
      given.add(option.attributeName());
      if (!option.isBoolean()) faults.push(...faultsOfValues(option, words));
    } else if (word.startsWith('-') && !(command.registeredArguments.at(-1)?.variadic === true && values.length > 0)) {
      faults.push(`there is no option ${word}`);
    } else values.push(word);
  }
  const [least, most] = [command.registeredArguments.filter(({ required }) => required).length, command.registeredArguments.length];
  if (values.length < least) faults.push('an argument is missing');
  if (values.length > most && command.registeredArguments.at(-1)?.variadic !== true)
    faults.push(`one argument too many: ${values.at(-1) ?? ''}`);
  for (const option of command.options)
    if (option.mandatory && !given.has(option.attributeName())) faults.push(`${option.long ?? ''} is missing`);
  return faults;
}

/** Takes the values of an option away. */
function faultsOfValues(option: Option, words: string[]): string[] {
  const last = option.variadic ? words.findIndex((word) => word.startsWith('-')) : 1;
  const values = words.splice(0, last < 0 ? words.length : last);
  const wrong = values.filter((value) => option.argChoices?.includes(value) === false && !/^[A-Z]+$/.test(value));
  return [
    ...(values.length === 0 ? [`${option.long ?? ''} needs a value`] : []),
    ...wrong.map((value) => `${value} is none of the choices`),
  ];
}

/** As a shell splits it, up to a comment, a redirection, a pipe or another command. */
function wordsOf(line: string): string[] {
  const words: string[] = [];
  for (const [word] of line.matchAll(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g)) {
    if (/^(#|[<>|&;)]|2>)/.test(word)) break;
    words.push(word.replace(/[);,]$/, '').replace(/['"]/g, ''));
    if (/[);]$/.test(word)) break;
  }
  return words;
}
