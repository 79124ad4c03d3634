# An HTTP proxy between stub and agent, as https_proxy and no_proxy want it.

bats_require_minimum_version 1.5.0

setup_file() {
  load ../helpers/mediator-stub
  cd "$BATS_FILE_TMPDIR" || return
  certificate right DNS:localhost,IP:127.0.0.1 -days 2
  peer_start right.pem right.key
  proxy_start OPEN
  proxy_start CLOSED 'a user:a p@ssword'
}

teardown_file() {
  kill "$OPEN_PID" "$CLOSED_PID"
  peer_stop
}

# proxy_start NAME [CREDENTIALS]: sets NAME_PORT and NAME_PID; the requests are in NAME.said.
proxy_start() {
  local port
  : >"$1.said"
  node "$BATS_TEST_DIRNAME/proxy.ts" "${@:2}" >"$1.said" 3>&- &
  export "$1_PID=$!"
  until [ -s "$1.said" ]; do :; done
  read -r port <"$1.said"
  export "$1_PORT=$port"
}

setup() {
  load ../helpers/mediator-stub
  peer_settings echo
  unset http_proxy https_proxy HTTPS_PROXY ALL_PROXY all_proxy no_proxy NO_PROXY
  export MEDIATOR_TRANSPORT MEDIATOR_URL=wss://localhost:$PEER_TLS_PORT MEDIATOR_CA=$BATS_FILE_TMPDIR/right.pem MEDIATOR_CONNECT_TIMEOUT=5
}

# calls COUNT: a call succeeds, and the open proxy was asked COUNT times for it.
calls() {
  local before after
  before=$(wc -l <"$BATS_FILE_TMPDIR/OPEN.said")
  [ "$(printf 'a ticket' | bash "$STUB")" = 'a ticket' ]
  after=$(wc -l <"$BATS_FILE_TMPDIR/OPEN.said")
  [ $((after - before)) = "$1" ]
}

# fails CODE PATTERN: the call ends so.
fails() {
  run --separate-stderr bash "$STUB" </dev/null
  echo "$status: $stderr"
  [ "$status" = "$1" ]
  [ "${#stderr_lines[@]}" = 1 ]
  # shellcheck disable=SC2053 # a pattern
  [[ $stderr == $2 ]]
}

@test "the proxy carries the call" {
  export https_proxy=http://127.0.0.1:$OPEN_PORT/
  each calls_by
  unset https_proxy
  export HTTPS_PROXY=127.0.0.1:$OPEN_PORT
  each calls_by
}

calls_by() {
  calls 1
}

@test "no_proxy names who is called without it" {
  local -x https_proxy=http://127.0.0.1:$OPEN_PORT
  no_proxy=localhost each calls_without
  NO_PROXY=elsewhere,.localhost each calls_without
  no_proxy='*' each calls_without
  no_proxy=host each calls_by
  MEDIATOR_URL=wss://127.0.0.1:$PEER_TLS_PORT no_proxy=10.0.0.0/8,127.0.0.1/8 MEDIATOR_TRANSPORT=openssl calls 0
  MEDIATOR_URL=wss://127.0.0.1:$PEER_TLS_PORT no_proxy=10.0.0.0/8,126.0.0.0/8 MEDIATOR_TRANSPORT=openssl calls 1
}

calls_without() {
  calls 0
}

@test "plaintext goes without a proxy" {
  local -x https_proxy=http://127.0.0.1:$OPEN_PORT http_proxy=http://127.0.0.1:$OPEN_PORT
  MEDIATOR_URL=ws://127.0.0.1:$PEER_PORT calls 0
}

@test "a proxy that wants a password gets it, and no command line shows it" {
  with_password() {
    local folder=$BATS_TEST_TMPDIR/$1
    mkdir "$folder"
    printf '#!/bin/bash\nprintf "%%s " "$@" >>%q\nexec %q "$@"\n' "$folder/words" "$(type -P "$1")" >"$folder/$1"
    chmod +x "$folder/$1"
    [ "$(printf 'a ticket' | PATH=$folder:$PATH https_proxy="http://a%20user:a%20p%40ssword@127.0.0.1:$CLOSED_PORT" bash "$STUB")" = 'a ticket' ]
    [ -s "$folder/words" ]
    [[ $(cat "$folder/words") != *ssword@* && $(cat "$folder/words") != *p@ss* ]]
  }
  each with_password
}

@test "a proxy that refuses, is not there, or has no name is 69" {
  refused() {
    https_proxy=http://127.0.0.1:$CLOSED_PORT fails 69 'mediator: *cannot connect to localhost:* proxy *407*'
    https_proxy=http://127.0.0.1:1 fails 69 'mediator: cannot connect to localhost:* by the proxy 127.0.0.1:1: connection refused*'
    https_proxy=http://no-such-name.invalid:1 fails 69 'mediator: cannot connect to localhost:* by the proxy no-such-name.invalid:1: the name of the HTTP proxy *'
    MEDIATOR_URL=wss://127.0.0.1:1 https_proxy=http://127.0.0.1:$OPEN_PORT fails 69 'mediator: cannot connect to 127.0.0.1:1 by the proxy *502*'
  }
  each refused
}

@test "the certificate is the agent's, whatever the proxy does" {
  wrong() {
    MEDIATOR_CA=$PROTOCOL/../test/fixtures/none https_proxy=http://127.0.0.1:$OPEN_PORT fails 78 '*MEDIATOR_CA*'
    MEDIATOR_CA='' https_proxy=http://127.0.0.1:$OPEN_PORT fails 77 '*does not verify*'
  }
  each wrong
}

@test "a proxy that openssl cannot speak to is 78" {
  MEDIATOR_TRANSPORT=openssl https_proxy=socks5://127.0.0.1:1 fails 78 '*MEDIATOR_TRANSPORT=curl*'
}
