#!/usr/bin/env bash
# The main job, from an empty folder: an agent, and a stub called as SecureChange and as Check Point call it.
# Every command is printed as it would be typed, then run as it was printed. Leaves nothing running and nothing behind.
set -euo pipefail

NODE_OLDEST=22.22
PROJECT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
PAYLOADS=$PROJECT/test/fixtures/payloads

folder=$(mktemp -d)
agent=''
trap leave EXIT

main() {
  check_tools
  cd "$folder"
  say 'An agent in a new folder:'
  run 'mediator-agent init --dir mediator --name 127.0.0.1 --listen 127.0.0.1:0'
  start_agent

  say 'SecureChange: a ticket is closed. The stub gets the ticket XML on stdin, the script is Python, out here.'
  cp "$PAYLOADS/securechange/close.xml" ticket.xml
  run "mediator-agent stub --config mediator/agent.yaml --url $url --host securechange --script notify-on-close --output notify-on-close.sh"
  run 'SCW_EVENT=CLOSE bash notify-on-close.sh < ticket.xml'
  expect 0

  say 'Check Point: a session named "quick fix" is about to be published. The stub gets Base64 JSON as its argument, and prints a verdict.'
  cp "$PAYLOADS/checkpoint/before-publish.json" session.json
  run "mediator-agent stub --config mediator/agent.yaml --url $url --host checkpoint --script check-session-name --fail-closed --output check-session-name.sh"
  # shellcheck disable=SC2016 # printed as it stands, expanded when it runs
  run 'bash check-session-name.sh "$(base64 -w 0 session.json)" | tee verdict.json'
  expect 0
  grep -q '"result": *"failure"' verdict.json || fail 'the verdict is not a failure'

  say 'What the agent remembers of it:'
  run 'mediator-agent runs list --config mediator/agent.yaml'
  stop_agent
  say 'Done. Nothing is left running.'
}

check_tools() {
  local tool missing=''
  for tool in node openssl python3; do
    type -P "$tool" >/dev/null || missing+=" $tool"
  done
  [ -z "$missing" ] || fail "missing:$missing (Debian: apt-get install$missing)"
  printf 'v%s\n%s\n' "$NODE_OLDEST" "$(node --version)" | sort -C -V ||
    fail "node $(node --version) is older than $NODE_OLDEST; \`npm ci\` brings a newer one on Linux, \`npm run demo\` uses it"
}

mediator-agent() {
  node "$PROJECT/agent/main.ts" "$@"
}

# Starts the agent in the background and waits for its word that it is ready. Sets: agent (process id), url.
start_agent() {
  local line=''
  say 'It is started, and says when it is ready:'
  printf '$ %s\n' 'mediator-agent serve --config mediator/agent.yaml > agent.log &'
  exec 3< <(exec node "$PROJECT/agent/main.ts" serve --config mediator/agent.yaml 2>&1 >agent.log)
  agent=$!
  read -r -t 30 line <&3 || true
  printf '%s\n' "$line"
  [[ $line =~ ^ready\ (wss://[^ ]+) ]] || fail 'the agent did not come up'
  url=${BASH_REMATCH[1]}
}

stop_agent() {
  printf '\n$ %s\n' 'kill %1'
  kill -TERM "$agent"
  cat <&3 # until the agent and its parts have closed it
  agent=''
}

# run COMMAND: prints it, runs it in this shell, prints its exit code and time. Sets: status.
run() {
  local start=$EPOCHREALTIME micros
  printf '$ %s\n' "$1"
  status=0
  eval "$1" || status=$?
  micros=$((${EPOCHREALTIME/[.,]/} - ${start/[.,]/}))
  printf '(exit code %d, %d ms)\n' "$status" $((micros / 1000))
}

expect() {
  [ "$status" -eq "$1" ] || fail "exit code $status, expected $1"
}

say() {
  printf '\n# %s\n' "$1"
}

fail() {
  printf 'demo: %s\n' "$1" >&2
  exit 1
}

leave() {
  if [ -n "$agent" ]; then
    kill -TERM "$agent" 2>/dev/null || true
    cat <&3 >/dev/null || true
  fi
  rm -rf "$folder"
}

main
