# TLS by openssl and by curl: the certificate is verified in every way, and each fault has its code and its line.

bats_require_minimum_version 1.5.0

setup_file() {
  load ../helpers/mediator-stub
  cd "$BATS_FILE_TMPDIR" || return
  certificate right DNS:localhost,IP:127.0.0.1 -days 2
  certificate other DNS:localhost,IP:127.0.0.1 -days 2
  certificate elsewhere DNS:agent.example -days 2
  expire right
  peer_start right.pem right.key
}

teardown_file() {
  peer_stop
}

setup() {
  load ../helpers/mediator-stub
  peer_settings echo
  unset SSL_CERT_FILE SSL_CERT_DIR
  export MEDIATOR_URL=wss://localhost:$PEER_TLS_PORT MEDIATOR_CA=$BATS_FILE_TMPDIR/right.pem
}

# calls_server_of TRANSPORT NAME OPTION...: runs `openssl s_server` with a certificate of that name, on a port of its own, and calls it.
calls_server_of() {
  local port line folder=$BATS_TEST_TMPDIR/$1
  mkdir "$folder"
  mkfifo "$folder/said" "$folder/stdin"
  exec 6<>"$folder/stdin" # s_server leaves when its stdin ends
  openssl s_server -accept 127.0.0.1:0 -cert "$BATS_FILE_TMPDIR/$2.pem" -key "$BATS_FILE_TMPDIR/$2.key" "${@:3}" \
    <&6 >"$folder/said" 2>&1 3>&- &
  SERVER=$!
  exec 5<"$folder/said"
  while IFS= read -r line <&5; do
    [[ $line =~ ^ACCEPT\ .*:([0-9]+)$ ]] && port=${BASH_REMATCH[1]} && break
  done
  MEDIATOR_URL=wss://localhost:$port MEDIATOR_CA=$BATS_FILE_TMPDIR/$2.pem MEDIATOR_CONNECT_TIMEOUT=5 \
    run --separate-stderr bash "$STUB" </dev/null
  kill "$SERVER"
  exec 5<&- 6<&-
  echo "$status: $stderr"
}

# fails CODE PATTERN: what the last run had to be.
fails() {
  echo "$status: $stderr"
  [ "$status" = "$1" ]
  [ -z "$output" ]
  [ "${#stderr_lines[@]}" = 1 ]
  # shellcheck disable=SC2053 # a pattern
  [[ $stderr == $2 ]]
}

# pin FILE: makes a stub that has the certificate in it; no setting names another.
pin() {
  local pem stub
  pem=$(<"$1") stub=$(<"$STUB")
  unset MEDIATOR_CA
  printf '%s\n' "${stub/BAKED_CA=\'\'/BAKED_CA=\'$'\n'$pem$'\n'\'}" >"$BATS_TEST_TMPDIR/mediator.sh"
}

@test "a certificate in a file is enough, by name and by address" {
  by_file() {
    local MEDIATOR_URL=$MEDIATOR_URL
    [ "$(printf 'a ticket' | bash "$STUB")" = 'a ticket' ]
    MEDIATOR_URL=wss://127.0.0.1:$PEER_TLS_PORT
    [ "$(printf 'a ticket' | bash "$STUB")" = 'a ticket' ]
  }
  each by_file
}

@test "a certificate that is pinned in the stub is enough, also where the stub is no file" {
  pin "$MEDIATOR_CA"
  pinned() {
    [ "$(printf 'a ticket' | bash "$BATS_TEST_TMPDIR/mediator.sh")" = 'a ticket' ]
    [ "$(printf 'a ticket' | bash -c "$(<"$BATS_TEST_TMPDIR/mediator.sh")" mediator a-script)" = 'a ticket' ]
  }
  each pinned
}

@test "a pinned certificate needs neither /proc nor a folder to write to, unless the stub is no file" {
  type -P bwrap >/dev/null || skip 'bubblewrap is not installed (Debian: apt-get install bubblewrap)'
  pin "$MEDIATOR_CA"
  bare() {
    bwrap --ro-bind / / --tmpfs /proc --tmpfs /dev --tmpfs /tmp --ro-bind "$BATS_TEST_TMPDIR/mediator.sh" /tmp/mediator.sh --remount-ro /tmp \
      bash -c "$1" <<<'a ticket'
  }
  without_proc() {
    run --separate-stderr bare 'exec bash /tmp/mediator.sh'
    echo "$stderr"
    [ "$output" = 'a ticket' ]
    run --separate-stderr bare 'exec bash -c "$(</tmp/mediator.sh)" mediator a-script'
    fails 78 '*start the stub as a file*'
  }
  each without_proc
}

@test "binary input and output of 20 MB go through" {
  head -c 20000000 /dev/urandom >"$BATS_TEST_TMPDIR/in"
  bash "$STUB" <"$BATS_TEST_TMPDIR/in" | cmp - "$BATS_TEST_TMPDIR/in"
}

@test "nothing but the script's own stderr is printed, however openssl or curl ends" {
  quiet() {
    local count
    for ((count = 0; count < 10; count++)); do
      run --separate-stderr bash "$STUB" </dev/null
      [ "$status:$output:$stderr" = '0::' ]
    done
  }
  each quiet
}

@test "text that openssl would take for commands goes through" {
  printf 'Q\nR\nk\nK\nQ' >"$BATS_TEST_TMPDIR/in"
  bash "$STUB" <"$BATS_TEST_TMPDIR/in" | cmp - "$BATS_TEST_TMPDIR/in"
}

@test "an unknown certificate is 77" {
  unknown() {
    MEDIATOR_CA=$BATS_FILE_TMPDIR/other.pem run --separate-stderr bash "$STUB" </dev/null
    fails 77 'mediator: the certificate of localhost:* does not verify: *'
  }
  each unknown
}

@test "a certificate that the store of the pod does not know is 77" {
  unset MEDIATOR_CA
  not_in_store() {
    run --separate-stderr bash "$STUB" </dev/null
    fails 77 'mediator: the certificate of localhost:* does not verify: *'
  }
  each not_in_store
}

@test "the store of the pod is not asked where the settings have a certificate" {
  type -P bwrap >/dev/null || skip 'bubblewrap is not installed (Debian: apt-get install bubblewrap)'
  mkdir "$BATS_TEST_TMPDIR/certs"
  cp "$MEDIATOR_CA" "$BATS_TEST_TMPDIR/certs/right.pem"
  openssl rehash "$BATS_TEST_TMPDIR/certs"
  cp "$BATS_FILE_TMPDIR/expired.pem" "$BATS_TEST_TMPDIR/certs/ca-certificates.crt"
  in_store() {
    local -a pod=(bwrap --ro-bind / / --dev /dev --proc /proc --bind "$BATS_TEST_TMPDIR/certs" /etc/ssl/certs)
    MEDIATOR_CA='' run --separate-stderr "${pod[@]}" bash "$STUB" </dev/null
    echo "by the store: $status $stderr"
    [ "$status" = 0 ]
    MEDIATOR_CA=$BATS_FILE_TMPDIR/other.pem run --separate-stderr "${pod[@]}" bash "$STUB" </dev/null
    fails 77 'mediator: the certificate of localhost:* does not verify: *'
  }
  each in_store
}

@test "a certificate for another name is 77" {
  elsewhere() {
    calls_server_of "$1" elsewhere
    fails 77 '*does not verify: *match*'
  }
  each elsewhere
}

@test "an expired certificate is 77, and is to be renewed: neither the host name nor the stub is wrong" {
  expired() {
    calls_server_of "$1" expired
    fails 77 "*does not verify: *expired; renew it on the agent's host*"
  }
  each expired
}

@test "TLS below 1.2 is not spoken" {
  old() {
    calls_server_of "$1" right -tls1_1 -cipher 'ALL:@SECLEVEL=0'
    fails 69 'mediator: TLS handshake with * failed: *'
  }
  each old
}

@test "a port that does not speak TLS is 69" {
  plain() {
    MEDIATOR_CONNECT_TIMEOUT=1 MEDIATOR_URL=wss://localhost:$PEER_PORT run --separate-stderr bash "$STUB" </dev/null
    fails 69 'mediator: no answer *within 1 s; *'
  }
  each plain
}

@test "nobody listens, or nobody has that name: 69" {
  nobody() {
    MEDIATOR_URL=wss://127.0.0.1:1 run --separate-stderr bash "$STUB" </dev/null
    fails 69 'mediator: cannot connect to 127.0.0.1:1: connection refused*; *'
    MEDIATOR_URL=wss://no-such-name.invalid:1 run --separate-stderr bash "$STUB" </dev/null
    fails 69 'mediator: cannot connect to no-such-name.invalid:1: name not found; *hostAliases*address*'
  }
  each nobody
}

@test "a file that is no certificate is 78" {
  no_certificate() {
    MEDIATOR_CA=$STUB run --separate-stderr bash "$STUB" </dev/null
    fails 78 '*MEDIATOR_CA*'
  }
  each no_certificate
}

# tools NAME...: makes BATS_TEST_TMPDIR/bin with these tools, each of which leaves its name in BATS_TEST_TMPDIR/used.
tools() {
  local name
  mkdir "$BATS_TEST_TMPDIR/bin"
  for name in "$@"; do
    printf '#!/bin/bash\necho %s >>%q\nexec %q "$@"\n' "$name" "$BATS_TEST_TMPDIR/used" "$(type -P "$name")" >"$BATS_TEST_TMPDIR/bin/$name"
    chmod +x "$BATS_TEST_TMPDIR/bin/$name"
  done
}

@test "openssl comes first, and curl where there is no openssl" {
  tools curl
  [ "$(printf 'a ticket' | PATH=$BATS_TEST_TMPDIR/bin "$BASH" "$STUB")" = 'a ticket' ]
  [ "$(cat "$BATS_TEST_TMPDIR/used")" = curl ]
  rm -r "$BATS_TEST_TMPDIR/bin" "$BATS_TEST_TMPDIR/used"
  tools openssl curl
  [ "$(printf 'a ticket' | PATH=$BATS_TEST_TMPDIR/bin "$BASH" "$STUB")" = 'a ticket' ]
  [ "$(cat "$BATS_TEST_TMPDIR/used")" = openssl ]
}

@test "after a failed verification nothing else is tried: no other transport, no other agent" {
  tools openssl curl
  MEDIATOR_CA=$BATS_FILE_TMPDIR/other.pem MEDIATOR_URL="$MEDIATOR_URL ws://127.0.0.1:$PEER_PORT" \
    run --separate-stderr env PATH="$BATS_TEST_TMPDIR/bin" "$BASH" "$STUB" </dev/null
  fails 77 'mediator: the certificate of localhost:* does not verify: *'
  [ "$(sort -u "$BATS_TEST_TMPDIR/used")" = openssl ]
}

@test "the doctor says that everything is in order, or what is not" {
  unset MEDIATOR_SCRIPT
  run --separate-stderr bash "$STUB" --doctor
  [ "$status" = 0 ]
  [[ $output == *'ok    TLS: the certificate of '*'right'*', valid until '*', verified against '*/right.pem*'round trip '* ]]
  MEDIATOR_CA=$BATS_FILE_TMPDIR/other.pem run --separate-stderr bash "$STUB" --doctor
  [ "$status" = 77 ]
  [[ $output == *'FAIL  wss://localhost:'* ]]
}
