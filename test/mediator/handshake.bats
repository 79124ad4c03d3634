# Peers that are no agent, and agents that refuse: the exit code, one line, nothing on stdout, no waiting.

bats_require_minimum_version 1.5.0

setup_file() {
  load ../helpers/mediator-stub
  peer_start
}

teardown_file() {
  peer_stop
}

setup() {
  load ../helpers/mediator-stub
  export MEDIATOR_CONNECT_TIMEOUT=1
}

# ends CODE SCENARIO...: the stub ends with CODE after each scenario.
ends() {
  local scenario code=$1
  for scenario in "${@:2}"; do
    peer_settings "$scenario"
    run --separate-stderr bash "$STUB" </dev/null
    echo "$scenario: $status, not $code: $stderr"
    [ "$status" = "$code" ]
    [ -z "$output" ]
    [ "${#stderr_lines[@]}" = 1 ]
    [[ $stderr == 'mediator: '* ]]
  done
}

@test "a server that is not an agent is 78" {
  ends 78 http-200 http-301 garbage garbage-without-end endless-headers an-endless-header
}

@test "a server that speaks WebSocket, but not ours, is 78" {
  ends 78 wrong-accept no-accept no-subprotocol other-subprotocol extensions
}

@test "an agent that cannot prove that it knows the key is 77" {
  ends 77 wrong-proof no-proof
}

@test "silence, a closed connection and a proxy without an agent are 69" {
  ends 69 silence half-an-answer closed-at-once cut-in-the-headers http-502 http-503
}

@test "a refusal is printed, with the exit code of its failure" {
  ends 77 refused-unauthorized
  [ "$stderr" = 'mediator: the key does not exist' ]
  ends 75 refused-busy refused-without-a-word
  ends 78 refused-not-found
  ends 78 refused-in-colour
  [ "$stderr" = 'mediator:  [31mno thing is served' ]
}

@test "a failure that is newer than the stub is judged by its status" {
  ends 77 refused-newer
}

@test "a secret that the peer does not know is refused" {
  peer_settings echo
  MEDIATOR_KEY=echo:another-secret-of-at-least-32-bytes run --separate-stderr bash "$STUB" </dev/null
  [ "$status" = 77 ]
}

@test "nobody listens: 69 at once" {
  peer_settings echo
  MEDIATOR_URL=ws://127.0.0.1:1 run --separate-stderr bash "$STUB" </dev/null
  [ "$status" = 69 ]
  [[ $stderr == 'mediator: cannot connect to 127.0.0.1:1: Connection refused; '* ]]
}

@test "the next agent is called when one is away or overloaded" {
  peer_settings start
  MEDIATOR_URL="ws://127.0.0.1:1 $MEDIATOR_URL" run --separate-stderr bash "$STUB" </dev/null
  [ "$status" = 0 ]
}

@test "the next agent is not called when one does not prove itself" {
  peer_settings wrong-proof
  MEDIATOR_URL="$MEDIATOR_URL ws://127.0.0.1:1" run --separate-stderr bash "$STUB" </dev/null
  [ "$status" = 77 ]
}

@test "a stub that was cut anywhere is no success, and says so" {
  local whole line cut=0
  peer_settings echo
  mapfile -t whole <"$STUB"
  for ((line = 30; line < ${#whole[@]} - 1; line += 20)); do
    while [[ ${whole[line - 1]} != '}' && ${whole[line - 1]} != '[['* ]]; do line=$((line + 1)); done
    printf '%s\n' "${whole[@]:0:line}" >"$BATS_TEST_TMPDIR/cut.sh"
    run --separate-stderr bash "$BATS_TEST_TMPDIR/cut.sh" </dev/null
    [ "$status:$output:$stderr" = '78::mediator: this file is not complete; make a new stub' ]
    cut=$((cut + 1))
  done
  [ "$cut" -gt 50 ]
}

@test "a stub that a signal ends while bash has hardly begun to read it was not cut" {
  local signal pid status
  cd "$BATS_TEST_TMPDIR"
  for signal in HUP:129 TERM:143; do
    rm -f stub begun
    mkfifo stub
    bash stub 2>err 3>&- &
    pid=$!
    exec 5>stub
    head -n 40 "$STUB" >&5
    echo ': >begun' >&5
    until [ -e begun ]; do :; done
    kill -s "${signal%:*}" "$pid"
    (trap '' PIPE && echo :) >&5 2>/dev/null || : # bash looks at its signals between two commands, if it is still there
    exec 5>&-
    status=0
    wait "$pid" || status=$?
    echo "$signal: $status: $(cat err)"
    [ "$status:$(cat err)" = "${signal#*:}:" ]
  done
}
