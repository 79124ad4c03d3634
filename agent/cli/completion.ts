/** `completion bash`: a script for bash's own completion, made from the commands themselves, so that it knows what they know. */
import type { Argument, Command, Option } from 'commander';
import { quote } from './stub.ts';

/** What a placeholder of the help stands for, and how bash finds it. Listings are asked as the user asks them; without an agent, nothing is offered. */
const VALUES: Record<string, string> = {
  file: ':file',
  folder: ':folder',
  script: ':scripts name',
  scripts: ':scripts name',
  key: ':keys id',
  task: ':tasks name',
  run: ':runs id',
};

export function bashCompletion(program: Command): string {
  const commands = [...leavesOf(program)];
  const words = commands.map(([path, command]) => `    ${quote(path)}) echo ${quote(wordsOf(command).join(' '))} ;;\n`);
  const values = commands.flatMap(([path, command]) => valuesOf(path, command));
  return `# bash completion for mediator-agent, made by "mediator-agent completion bash". To use it in this shell: source <(mediator-agent completion bash)

# COMMAND: its subcommands and options.
_mediator_agent_words() {
  case $1 in
${words.join('')}  esac
}

# COMMAND OPTION, or COMMAND <> for its argument: what may follow; - where only the user knows; nothing if it takes no value.
_mediator_agent_value() {
  case "$1 $2" in
${values.join('')}  esac
}

# What the agent knows: LISTING FIELD.
_mediator_agent_listed() {
  mediator-agent "\${1#:}" list --json "\${config[@]}" 2>/dev/null | sed -n "s/.*\\"$2\\":\\"\\([^\\"]*\\)\\".*/\\1/p"
}

# PREFIX: offers the lines of stdin that begin so. Not compgen -W, which expands its words: whoever drops a script in chooses its name.
_mediator_agent_offer() {
  local word
  while IFS= read -r word; do
    [[ $word != "$1"* ]] || COMPREPLY+=("$word")
  done
}

_mediator_agent() {
  local word cur=\${COMP_WORDS[COMP_CWORD]} command='' option='' value='' i
  local -a config=()
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    [[ \${COMP_WORDS[i - 1]} != --config ]] || config=(--config "$word")
    if [[ $word == -* ]]; then
      option=$word
    elif [[ -z $option && -n $(_mediator_agent_words "\${command:+$command }$word") ]]; then
      command=\${command:+$command }$word
    else
      option=''
    fi
  done
  [[ -z $option ]] || value=$(_mediator_agent_value "$command" "$option")
  [[ -n $value || $cur == -* ]] || value=$(_mediator_agent_value "$command" '<>')
  case $value in
    :file) _mediator_agent_offer "$cur" < <(compgen -f -- "$cur") ;;
    :folder) _mediator_agent_offer "$cur" < <(compgen -d -- "$cur") ;;
    :*) _mediator_agent_offer "$cur" < <(_mediator_agent_listed "\${value% *}" "\${value#* }") ;;
    -) ;;
    ?*) _mediator_agent_offer "$cur" < <(compgen -W "$value" -- "$cur") ;;
    *) _mediator_agent_offer "$cur" < <(compgen -W "$(_mediator_agent_words "$command")" -- "$cur") ;;
  esac
}

complete -o filenames -F _mediator_agent mediator-agent
`;
}

/** Every command with its path below the program, parents before children. */
export function* leavesOf(command: Command, path = ''): Generator<[path: string, command: Command]> {
  yield [path, command];
  for (const child of command.commands) yield* leavesOf(child, `${path} ${child.name()}`.trim());
}

function wordsOf(command: Command): string[] {
  const options = command.options.filter(({ hidden }) => !hidden).map(({ long, short }) => long ?? short ?? '');
  return [...command.commands.map((child) => child.name()), ...options, '--help'];
}

function valuesOf(path: string, command: Command): string[] {
  const row = (name: string, value: string): string => `    ${quote(`${path} ${name}`)}) echo ${quote(value)} ;;\n`;
  const options = command.options.flatMap((option) => {
    const value = valueOf(option);
    return value === undefined ? [] : [option.long, option.short].flatMap((name) => (name === undefined ? [] : [row(name, value)]));
  });
  const [argument] = command.registeredArguments;
  const value = argument === undefined ? undefined : valueOf(argument);
  return value === undefined ? options : [...options, row('<>', value)];
}

/** The values that may stand there; or how bash finds them; `-` where only the user knows; undefined for a switch. */
function valueOf(thing: Option | Argument): string | undefined {
  if (thing.argChoices !== undefined) return thing.argChoices.join(' ');
  if ('isBoolean' in thing && thing.isBoolean()) return undefined;
  const placeholder = 'flags' in thing ? /[<[]([^>\].]+)/.exec(thing.flags)?.[1] : thing.name();
  return VALUES[placeholder ?? ''] ?? ('flags' in thing ? '-' : undefined);
}
