# Whole invocations against a scripted agent, with the tools of this machine and with bash alone.

bats_require_minimum_version 1.5.0

setup_file() {
  load ../helpers/mediator-stub
  peer_start
  head -c 300000 /dev/urandom >"$BATS_FILE_TMPDIR/binary"
  node -e 'process.stdout.write(Buffer.from(Array.from({ length: 1_500_000 }, (_, at) => (at * 7919 + (at >> 8) * 31) & 0xff)))' \
    >"$BATS_FILE_TMPDIR/bytes"
}

teardown_file() {
  peer_stop
}

setup() {
  load ../helpers/mediator-stub
  out=$BATS_TEST_TMPDIR/out err=$BATS_TEST_TMPDIR/err
}

# echoes FILE: the stub sends it and gets it back.
echoes() {
  peer_settings echo
  bash "$STUB" <"$1" >"$out" && same "$out" "$1"
  # shellcheck disable=SC2002 # a pipe is another thing than a file
  cat "$1" | bash "$STUB" >"$out" && same "$out" "$1"
}

# echoes_alone FILE: the same with bash and nothing else.
echoes_alone() {
  echoes "$1"
  PATH='' "$BASH" "$STUB" <"$1" >"$out" && same "$out" "$1"
}

@test "a stub that bash reads from stdin sends nothing of itself as the stdin of the script" {
  peer_settings echo
  run --separate-stderr bash -s -- an-argument <"$STUB"
  [ "$status:$output:$stderr" = 0:: ]
  run --separate-stderr bash < <(cat "$STUB")
  [ "$status:$output:$stderr" = 0:: ]
}

@test "stdin arrives byte for byte at every size around a border" {
  local size
  for size in 0 1 4095 4096 4097 69632 69633; do
    head -c "$size" "$BATS_FILE_TMPDIR/binary" >"$BATS_TEST_TMPDIR/in"
    echoes_alone "$BATS_TEST_TMPDIR/in"
  done
  for size in 69631 200704 200705; do
    head -c "$size" "$BATS_FILE_TMPDIR/binary" >"$BATS_TEST_TMPDIR/in"
    echoes "$BATS_TEST_TMPDIR/in"
  done
}

@test "stdin of NUL bytes, and with and without a final newline, arrives" {
  printf '\0' >"$BATS_TEST_TMPDIR/in"
  echoes_alone "$BATS_TEST_TMPDIR/in"
  head -c 5000 /dev/zero >"$BATS_TEST_TMPDIR/in"
  echoes_alone "$BATS_TEST_TMPDIR/in"
  printf '\n\n<ticket_info/>\n\n' >"$BATS_TEST_TMPDIR/in"
  echoes_alone "$BATS_TEST_TMPDIR/in"
  printf '<ticket_info/>' >"$BATS_TEST_TMPDIR/in"
  echoes_alone "$BATS_TEST_TMPDIR/in"
}

@test "16 MiB of stdin arrive" {
  peer_settings echo
  head -c 16777216 /dev/urandom >"$BATS_TEST_TMPDIR/in"
  # shellcheck disable=SC2002 # a pipe is another thing than a file
  cat "$BATS_TEST_TMPDIR/in" | bash "$STUB" | cmp - "$BATS_TEST_TMPDIR/in"
}

@test "the end is acknowledged after everything was printed" {
  peer_settings echo
  rm -f "$PEER_DIR/echo.ended"
  echo x | bash "$STUB"
  until [ -s "$PEER_DIR/echo.ended" ]; do :; done
  [ "$(cat "$PEER_DIR/echo.ended")" = '{"type":"ack"}' ]
}

@test "binary output of both streams is exact, by dd and by bash alone" {
  peer_settings binary
  bash "$STUB" </dev/null >"$out" 2>"$err"
  same "$out" "$BATS_FILE_TMPDIR/bytes"
  same "$err" "$BATS_FILE_TMPDIR/bytes"
  PATH='' "$BASH" "$STUB" </dev/null >"$out" 2>"$err"
  same "$out" "$BATS_FILE_TMPDIR/bytes"
  same "$err" "$BATS_FILE_TMPDIR/bytes"
}

@test "arguments, variables and settings are in the start message" {
  peer_settings start
  SCW_EVENT=$'CLO"SE\n' SCW_TICKET=64 OTHER=no MEDIATOR_HOST=securechange MEDIATOR_TIMEOUT=7 \
    bash "$STUB" 'two words' '' $'$(x) "q"\n' 'ü' </dev/null >"$out"
  run node -e '
    const start = JSON.parse(require("fs").readFileSync(0, "utf8"));
    console.log(JSON.stringify([start.type, start.script, start.args, start.env, start.host, start.timeout, /^[0-9a-f]{32}$/.test(start.token), start.stub]));' <"$out"
  [ "$output" = '["start","a-script",["two words","","$(x) \"q\"\n","ü"],{"SCW_EVENT":"CLO\"SE\n","SCW_TICKET":"64"},"securechange",7,true,"0.1.0"]' ]
}

@test "what the stub accepts follows from the tools that it finds" {
  peer_settings start
  [[ $(bash "$STUB" </dev/null) == *'"accept":{"frame":1048576,"bulk":32768}'* ]]
  [[ $(PATH='' "$BASH" "$STUB" </dev/null) == *'"accept":{"frame":262145,"bulk":0}'* ]]
}

@test "an argument of 100 kB of quotes arrives" {
  local long LC_ALL=C
  peer_settings start
  printf -v long '%100000s' ''
  bash "$STUB" "${long// /\"}" </dev/null >"$out"
  [ "$(node -p 'JSON.parse(require("fs").readFileSync(0, "utf8")).args[0].length' <"$out")" = 100000 ]
}

@test "stdin of Check Point is not read" {
  peer_settings start
  mkfifo "$BATS_TEST_TMPDIR/open"
  exec 4<>"$BATS_TEST_TMPDIR/open"
  MEDIATOR_HOST=checkpoint bash "$STUB" <&4 >"$out"
  exec 4>&-
}

@test "a closed stdin is an empty one" {
  peer_settings echo
  bash "$STUB" <&- >"$out"
  [ ! -s "$out" ]
}

@test "a refusal during the upload ends it" {
  peer_settings refused-while-uploading
  run --separate-stderr bash "$STUB" </dev/zero
  [ "$status" = 77 ]
  [ "$stderr" = 'mediator: the key may not call this' ]
}

@test "three cuts in the middle of frames lose no byte and double none" {
  peer_settings cuts
  bash "$STUB" </dev/null >"$out"
  same "$out" "$BATS_FILE_TMPDIR/bytes"
  [ -s "$PEER_DIR/cuts.resume3" ]
}

@test "a request that was lost before it was accepted is sent again under the same token" {
  peer_settings lost-before-accepted
  run --separate-stderr bash -c 'printf "a\0b" | bash "$1"' bash "$STUB"
  [ "$status" = 5 ]
  same "$PEER_DIR/lost-before-accepted.start1" "$PEER_DIR/lost-before-accepted.start2"
  same "$PEER_DIR/lost-before-accepted.stdin1" "$PEER_DIR/lost-before-accepted.stdin2"
}

@test "an agent that went away for good leaves an unknown outcome" {
  peer_settings lost-for-good
  MEDIATOR_RESUME_WINDOW=1 run --separate-stderr bash "$STUB" </dev/null
  [ "$status" = 125 ]
  [ "${#stderr_lines[@]}" = 1 ]
}

@test "a close without a terminal record leaves an unknown outcome" {
  peer_settings closes-politely
  MEDIATOR_RESUME_WINDOW=1 run --separate-stderr bash "$STUB" </dev/null
  [ "$status" = 125 ]
}

@test "silence is a lost connection, and the run is found again" {
  peer_settings falls-silent
  MEDIATOR_SILENCE=1 run --separate-stderr bash "$STUB" </dev/null
  [ "$status" = 6 ]
}

@test "silence in the middle of a long frame is one, too" {
  peer_settings stalls-in-a-frame
  MEDIATOR_SILENCE=1 run --separate-stderr env PATH='' "$BASH" "$STUB" </dev/null
  [ "$status" = 0 ]
  [ "${#output}" = 20000 ]
}

@test "a run that the agent does not know any more is an unknown outcome" {
  peer_settings unknown-run
  run --separate-stderr bash "$STUB" </dev/null
  [ "$status" = 125 ]
  [ "$output" = half ]
}

# signalled NAME CODE: the stub ends with CODE after the signal, and told the agent.
signalled() {
  local pid status=0
  peer_settings forever
  rm -f "$PEER_DIR/forever.ended" "$out"
  mkfifo "$out"
  bash "$STUB" </dev/null >"$out" 2>"$err" 3>&- &
  pid=$!
  IFS= read -r line <"$out" # it is connected, and printed what came
  kill -s "$1" "$pid"
  wait "$pid" || status=$?
  [ "$status" = "$2" ]
  until [ -s "$PEER_DIR/forever.ended" ]; do :; done
  [ "$(cat "$PEER_DIR/forever.ended")" = '{"type":"cancel"}' ]
}

@test "TERM ends the stub with 143 and cancels the run" {
  signalled TERM 143
}

@test "HUP ends the stub with 129 and cancels the run" {
  signalled HUP 129
}

@test "a stdout that nobody reads ends the stub with 141 and cancels the run, by dd and by bash alone" {
  local codes
  peer_settings flood
  rm -f "$PEER_DIR/flood.ended"
  codes=$(bash -c 'bash "$1" </dev/null 2>/dev/null | head -c 10 >/dev/null; echo "${PIPESTATUS[0]}"' bash "$STUB")
  [ "$codes" = 141 ]
  until [ -s "$PEER_DIR/flood.ended" ]; do :; done
  [ "$(cat "$PEER_DIR/flood.ended")" = '{"type":"cancel"}' ]
  codes=$(bash -c '(PATH="" "$BASH" "$1" </dev/null 2>/dev/null) | head -c 10 >/dev/null; echo "${PIPESTATUS[0]}"' bash "$STUB")
  [ "$codes" = 141 ]
}
