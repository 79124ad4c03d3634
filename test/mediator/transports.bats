# The same invocations over each transport that speaks TLS, and what becomes of the two processes that speak it.

bats_require_minimum_version 1.5.0

setup_file() {
  load ../helpers/mediator-stub
  cd "$BATS_FILE_TMPDIR" || return
  certificate right DNS:localhost,IP:127.0.0.1 -days 2
  peer_start right.pem right.key
  node -e 'process.stdout.write(Buffer.from(Array.from({ length: 1_500_000 }, (_, at) => (at * 7919 + (at >> 8) * 31) & 0xff)))' >bytes
}

teardown_file() {
  peer_stop
}

setup() {
  load ../helpers/mediator-stub
  bytes=$BATS_FILE_TMPDIR/bytes out=$BATS_TEST_TMPDIR/out err=$BATS_TEST_TMPDIR/err
  export MEDIATOR_TRANSPORT
}

# over TRANSPORT SCENARIO: what the next call uses. Nothing of the scenario's past is left.
over() {
  peer_settings "$2"
  export MEDIATOR_TRANSPORT=$1 MEDIATOR_URL=wss://localhost:$PEER_TLS_PORT MEDIATOR_CA=$BATS_FILE_TMPDIR/right.pem
  rm -f "$PEER_DIR/$2."*
}

@test "stdin of many sizes arrives and comes back" {
  sizes() {
    local size
    over "$1" echo
    for size in 0 1 4095 4096 4097 69632 200705; do
      head -c "$size" "$bytes" >"$BATS_TEST_TMPDIR/in"
      bash "$STUB" <"$BATS_TEST_TMPDIR/in" >"$out"
      same "$out" "$BATS_TEST_TMPDIR/in"
    done
  }
  each sizes
}

@test "16 MiB of random bytes go both ways" {
  much() {
    over "$1" echo
    head -c 16777216 /dev/urandom >"$BATS_TEST_TMPDIR/in"
    bash "$STUB" <"$BATS_TEST_TMPDIR/in" | cmp - "$BATS_TEST_TMPDIR/in"
  }
  each much
}

@test "100 MiB of output arrive" {
  output() {
    over "$1" hundred-mebibytes
    [ "$(bash "$STUB" </dev/null | cksum)" = "$(head -c 104857600 /dev/zero | tr '\0' x | cksum)" ]
  }
  each output
}

@test "binary output of both streams is exact" {
  binary() {
    over "$1" binary
    bash "$STUB" </dev/null >"$out" 2>"$err"
    same "$out" "$bytes"
    same "$err" "$bytes"
  }
  each binary
}

@test "three cuts in the middle of frames lose no byte and double none" {
  cuts() {
    over "$1" "cuts-$1"
    bash "$STUB" </dev/null >"$out"
    same "$out" "$bytes"
    [ -s "$PEER_DIR/cuts-$1.resume3" ]
  }
  each cuts
}

@test "a request that was lost before it was accepted is sent again under the same token" {
  again() {
    over "$1" "lost-before-accepted-$1"
    run --separate-stderr bash -c 'printf "a\0b" | bash "$1"' bash "$STUB"
    [ "$status" = 5 ]
    same "$PEER_DIR/lost-before-accepted-$1.start1" "$PEER_DIR/lost-before-accepted-$1.start2"
    same "$PEER_DIR/lost-before-accepted-$1.stdin1" "$PEER_DIR/lost-before-accepted-$1.stdin2"
  }
  each again
}

@test "silence is a lost connection, and the run is found again" {
  silence() {
    over "$1" "falls-silent-$1"
    MEDIATOR_SILENCE=1 run --separate-stderr bash "$STUB" </dev/null
    [ "$status" = 6 ]
  }
  each silence
}

@test "a signal ends the stub within a second, and cancels the run" {
  signalled() {
    local pid line status=0 before
    over "$1" forever
    rm -f "$out" && mkfifo "$out"
    bash "$STUB" </dev/null >"$out" 2>"$err" 3>&- &
    pid=$!
    IFS= read -r line <"$out" # it is connected, and printed what came
    before=${EPOCHREALTIME/./}
    kill -s TERM "$pid"
    wait "$pid" || status=$?
    [ "$status" = 143 ]
    [ $((${EPOCHREALTIME/./} - before)) -lt 1000000 ]
    [ "$(cat "$err")" = 'mediator: ended by SIGTERM; the agent was asked to cancel the run 01JDB4M5N6P7Q8R9S0T1V2W3X4' ]
    until [ -s "$PEER_DIR/forever.ended" ]; do :; done
    [ "$(cat "$PEER_DIR/forever.ended")" = '{"type":"cancel"}' ]
  }
  each signalled
}

@test "a stdout that nobody reads ends the stub with 141 and cancels the run" {
  unread() {
    local codes
    over "$1" flood
    codes=$(bash -c 'bash "$1" </dev/null 2>/dev/null | head -c 10 >/dev/null; echo "${PIPESTATUS[0]}"' bash "$STUB")
    [ "$codes" = 141 ]
    until [ -s "$PEER_DIR/flood.ended" ]; do :; done
    [ "$(cat "$PEER_DIR/flood.ended")" = '{"type":"cancel"}' ]
  }
  each unread
}

@test "peers that are no agent, and agents that refuse, are told apart" {
  strangers() {
    local scenario code patience
    for scenario in http-200:78 http-301:78 garbage:78 wrong-proof:77 no-proof:77 silence:69 closed-at-once:69 http-502:69 \
      refused-unauthorized:77 refused-busy:75 refused-not-found:78; do
      code=${scenario#*:}
      over "$1" "${scenario%:*}"
      patience=20
      [ "$scenario" != silence:69 ] || patience=1
      MEDIATOR_CONNECT_TIMEOUT=$patience run --separate-stderr bash "$STUB" </dev/null
      echo "$scenario: $status: $stderr"
      [ "$status" = "$code" ]
      [ -z "$output" ]
      [ "${#stderr_lines[@]}" = 1 ]
      [[ $stderr == 'mediator: '* ]]
    done
  }
  each strangers
}

@test "curl waits without using the processor" {
  local pid line times before
  over curl forever
  mkfifo "$out"
  bash "$STUB" </dev/null >"$out" 2>"$err" 3>&- &
  pid=$!
  exec 5<"$out"
  IFS= read -r line <&5
  read -ra times <"/proc/$(pgrep -P "$pid" -x curl)/stat"
  before=$((times[13] + times[14]))
  MEDIATOR_SILENCE=1 MEDIATOR_KEY=${MEDIATOR_KEY/forever/falls-silent} bash "$STUB" </dev/null || : # takes a second
  read -ra times <"/proc/$(pgrep -P "$pid" -x curl)/stat"
  kill "$pid"
  wait "$pid" || :
  exec 5<&-
  [ $((times[13] + times[14] - before)) -le 10 ]
}

# told COMMAND...: the command line of curl in a call that COMMAND... starts.
told() {
  local pid
  printf 'output = "%s"\ninsecure\n' "$BATS_TEST_TMPDIR/curlrc-was-read" >"$BATS_TEST_TMPDIR/.curlrc"
  over curl forever
  mkfifo "$out"
  HOME=$BATS_TEST_TMPDIR CURL_HOME=$BATS_TEST_TMPDIR "$@" bash "$STUB" </dev/null >"$out" 2>"$err" 3>&- &
  pid=$!
  exec 5<"$out"
  IFS= read -r line <&5
  line=$(tr '\0' ' ' <"/proc/$(pgrep -f "^curl -q .*localhost:$PEER_TLS_PORT")/cmdline")
  kill "$pid"
  wait "$pid" || :
  exec 5<&-
  echo "$line"
}

@test "curl is told nothing by its own configuration, and tells nothing by its command line" {
  told env
  [[ $line == 'curl -q '* && $line != *proof=* ]]
  [ ! -e "$BATS_TEST_TMPDIR/curlrc-was-read" ]
}

@test "curl tells nothing by its command line where there is no /dev/fd, if /proc would show it" {
  type -P bwrap >/dev/null || skip 'bwrap is not installed (Debian: apt-get install bubblewrap)'
  told bwrap --bind / / --tmpfs /dev --die-with-parent
  [[ $line == 'curl -q '* && $line != *proof=* ]]
}

@test "how the process that holds the connection ended is known also when bash has noticed its end before we ask" {
  ended() {
    local pid status=0
    stub_load
    leaves() { exit 35; }
    wire_start leaves || return
    pid=$WIRE_PID
    while kill -0 "$pid" 2>/dev/null; do "$BASH" -c :; done # bash notices while it waits for another
    [ "$WIRE_PID" = "$pid" ] || return
    wait "$WIRE_PID" || status=$?
    [ "$status" = 35 ]
  }
  run bash -c "$(declare -f stub_load ended); STUB=$STUB; ended"
  [ "$status" = 0 ]
}

@test "a second connect, which is to explain the first, takes no longer than a connect may" {
  explained() {
    stub_load
    tcp_complain() { exec "$BASH" -c 'echo $$ >"$1"; kill -STOP $$' bash "$BATS_TEST_TMPDIR/pid"; }
    URL_HOST=127.0.0.1 URL_PORT=1 CONNECT_TIMEOUT=1
    tcp_explain || printf '%s %s\n' "$PROBLEM_CODE" "$PROBLEM"
  }
  run bash -c "$(declare -f stub_load explained); STUB=$STUB BATS_TEST_TMPDIR=$BATS_TEST_TMPDIR; explained"
  [[ $output == '69 cannot connect to 127.0.0.1:1: no answer; '* ]]
  ! kill -0 "$(cat "$BATS_TEST_TMPDIR/pid")" 2>/dev/null
}
