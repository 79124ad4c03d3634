#!/usr/bin/env bash
# How long commands take, one after another, in turns: call-timer.sh ROUNDS COMMAND...
# Each COMMAND is one argument, bash code. Every round runs each of them once, every second round in reverse order, so that drift of the machine
# hits all alike. Prints a line `INDEX MICROSECONDS STATUS` a call. The first round warms up and is not printed.
set -uo pipefail

rounds=$1
shift
commands=("$@")

for index in "${!commands[@]}"; do
  eval "call_$index() { ${commands[index]}; }"
done

# timed INDEX PRINT
timed() {
  local from to status
  from=${EPOCHREALTIME/./}
  "call_$1" </dev/null >/dev/null 2>&1
  status=$?
  to=${EPOCHREALTIME/./}
  [[ -z $2 ]] || echo "$1 $((to - from)) $status"
}

for ((round = 0; round <= rounds; round++)); do
  order=("${!commands[@]}")
  if ((round % 2)); then
    order=()
    for ((i = ${#commands[@]} - 1; i >= 0; i--)); do order+=("$i"); done
  fi
  for index in "${order[@]}"; do timed "$index" "${round#0}"; done
done
