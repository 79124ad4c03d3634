# A PATH with any of the three tools that the stub may use, or none of them: an exact result, or one line that says what is missing.

bats_require_minimum_version 1.5.0

setup_file() {
  load ../helpers/mediator-stub
  cd "$BATS_FILE_TMPDIR" || return
  certificate right DNS:localhost,IP:127.0.0.1 -days 2
  peer_start right.pem right.key
  node -e 'process.stdout.write(Buffer.from(Array.from({ length: 20_000 }, (_, at) => (at * 7919 + (at >> 8) * 31) & 0xff)))' >bytes
}

teardown_file() {
  peer_stop
}

setup() {
  load ../helpers/mediator-stub
  bytes=$BATS_FILE_TMPDIR/bytes out=$BATS_TEST_TMPDIR/out
  peer_settings echo
  export MEDIATOR_CA=$BATS_FILE_TMPDIR/right.pem
}

# with TOOL...: the PATH of the next call holds these, and nothing else.
with() {
  local tool
  POD_PATH=$(mktemp -d -p "$BATS_TEST_TMPDIR")
  for tool; do ln -s "$(type -P "$tool")" "$POD_PATH/$tool"; done
}

stub() {
  rm -f "$PEER_DIR"/echo.*
  run --separate-stderr env "PATH=$POD_PATH" "$(type -P bash)" "$STUB" <"$bytes"
}

# exact: bytes with NUL among them came back as they were.
exact() {
  rm -f "$PEER_DIR"/echo.*
  env "PATH=$POD_PATH" "$(type -P bash)" "$STUB" <"$bytes" >"$out"
  same "$out" "$bytes"
}

@test "any set of tools is enough for plaintext" {
  local tools
  for tools in '' dd openssl curl 'dd openssl' 'dd curl' 'openssl curl' 'dd openssl curl'; do
    echo "with: $tools"
    # shellcheck disable=SC2086 # a list of words
    with $tools
    exact
  done
}

@test "any set with openssl or curl is enough for TLS" {
  local tools
  MEDIATOR_URL=wss://localhost:$PEER_TLS_PORT
  for tools in openssl curl 'dd openssl' 'dd curl' 'openssl curl' 'dd openssl curl'; do
    echo "with: $tools"
    # shellcheck disable=SC2086 # a list of words
    with $tools
    exact
  done
}

@test "without openssl and curl, TLS is refused with what to install, and nothing weaker is tried" {
  local tools
  MEDIATOR_URL=wss://localhost:$PEER_TLS_PORT
  for tools in '' dd; do
    # shellcheck disable=SC2086 # a list of words
    with $tools
    stub
    [ "$status" = 78 ]
    [ "${#stderr_lines[@]}" = 1 ]
    [[ $stderr == *'needs openssl or curl'* ]]
    [ ! -e "$PEER_DIR/echo.start" ]
  done
}

@test "a dd that cannot do what is needed is left alone" {
  with openssl
  printf '#!%s\necho "dd: unknown operand" >&2\nexit 1\n' "$(type -P bash)" >"$POD_PATH/dd"
  chmod +x "$POD_PATH/dd"
  exact
  MEDIATOR_URL=wss://localhost:$PEER_TLS_PORT
  exact
}

@test "a bash before 4.4 is told what it lacks" {
  # BASH_VERSINFO cannot be set: the stub is given the numbers of a 4.2.
  sed 's/BASH_VERSINFO\[0\]/4/; s/BASH_VERSINFO\[1\]/2/' "$STUB" >"$BATS_TEST_TMPDIR/old.sh"
  run --separate-stderr bash "$BATS_TEST_TMPDIR/old.sh" script
  [ "$status" = 78 ]
  [[ $stderr == *'is too old; the stub needs 4.4 or newer' ]]
}
