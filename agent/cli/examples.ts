/** What the help of each command shows: how it is typed. A test holds every line to the commands and options that exist. */
import type { Command } from 'commander';
import { leavesOf } from './completion.ts';

const EXAMPLES: Record<string, string> = {
  init: `mediator-agent init --dir /srv/mediator --name agent.example.com
mediator-agent init --dir try --name 127.0.0.1 --listen 127.0.0.1:8443`,
  serve: `mediator-agent serve --config /srv/mediator/agent.yaml    # until TERM or Ctrl-C; HUP reads the files again`,
  front: `mediator-agent front --config sidecar/agent.yaml    # a sidecar, too: agent.yaml names an upstream`,
  runner: `mediator-agent runner --config /etc/mediator/agent.yaml`,
  check: `mediator-agent check && sudo systemctl reload mediator-runner mediator-front`,
  doctor: `sudo mediator-agent doctor
mediator-agent doctor --json | grep -v '"state":"ok"'`,
  stub: `mediator-agent stub --host securechange --script close-ticket --output close-ticket.sh
mediator-agent stub --host checkpoint --script check-session-name --fail-closed --output check-session-name.sh
mediator-agent stub --url 'wss://a.example.com:8443 wss://b.example.com:8443' --key close-pod --output mediator.sh`,
  run: `SCW_EVENT=CLOSE mediator-agent run --host securechange close-ticket < ticket.xml
mediator-agent run hello 'first argument'`,
  'scripts list': `mediator-agent scripts list`,
  'scripts show': `mediator-agent scripts show close-ticket`,
  'scripts approve': `mediator-agent scripts approve close-ticket --sha256 3f1c2ab49d07
mediator-agent scripts approve --all`,
  'tasks list': `mediator-agent tasks list`,
  'tasks show': `mediator-agent tasks show 'Validate session name'`,
  'tasks test': `mediator-agent tasks test 'Validate session name' < payload.json`,
  'keys list': `mediator-agent keys list --json`,
  'keys create': `mediator-agent keys create close-pod --scripts 'close-*' --networks 10.244.0.0/16 --events CLOSE TEST --expires 365d`,
  'keys rotate': `mediator-agent keys rotate close-pod --overlap 7d`,
  'keys revoke': `mediator-agent keys revoke close-pod --previous    # only what a rotation has replaced`,
  'runs list': `mediator-agent runs list --ticket 4711
mediator-agent runs list --since 2h --outcome timed-out`,
  'runs refused': `mediator-agent runs refused --since 2h
mediator-agent runs refused --ticket 4711 --json`,
  'runs export': `mediator-agent runs export --since 2026-01-01 > runs.jsonl`,
  'runs show': `mediator-agent runs show 01M82MTPZ59FK5J6MJDJ9YK2MG`,
  'runs logs': `mediator-agent runs logs 01M82MTPZ59FK5J6MJDJ9YK2MG -f`,
  'runs cancel': `mediator-agent runs cancel 01M82MTPZ59FK5J6MJDJ9YK2MG`,
  'runs rerun': `mediator-agent runs rerun 01M82MTPZ59FK5J6MJDJ9YK2MG`,
  'runs verify': `mediator-agent runs verify`,
  completion: `source <(mediator-agent completion bash)
mediator-agent completion bash | sudo tee /usr/local/share/bash-completion/completions/mediator-agent`,
};

/** Adds them to the help of every command that has some. */
export function addExamples(program: Command): void {
  for (const [path, command] of leavesOf(program)) {
    const lines = EXAMPLES[path];
    if (lines !== undefined) command.addHelpText('after', `\nExamples:\n${lines.replace(/^/gm, '  ')}`);
  }
}
