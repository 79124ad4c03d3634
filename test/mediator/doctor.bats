# --doctor: every line is ok or says what to do, and the exit code is that of a call.

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
  peer_settings echo
  unset MEDIATOR_SCRIPT
}

# doctor CODE: asks the doctor, whose lines are in `lines`.
doctor() {
  run --separate-stderr bash "$STUB" --doctor </dev/null
  echo "$status, not $1: $output $stderr"
  [ "$status" = "$1" ]
  [ -z "$stderr" ]
}

@test "every line is ok where everything is in order" {
  local line
  doctor 0
  for line in "${lines[@]}"; do [[ $line == 'ok    '* ]]; done
  [[ $output == *'goes by tcp: '*'takes TCP connections, in '*'connected and proven '*'round trip '* ]]
}

@test "it does not wait for stdin" {
  mkfifo "$BATS_TEST_TMPDIR/open"
  exec 4<>"$BATS_TEST_TMPDIR/open"
  echo 'for somebody else' >&4
  bash "$STUB" --doctor <&4
  read -r -t 0 -u 4
  exec 4>&-
}

@test "an absent agent is 69, unless another one is there" {
  MEDIATOR_URL=ws://127.0.0.1:1 doctor 69
  [[ ${lines[-1]} == 'FAIL  ws://127.0.0.1:1: cannot connect to 127.0.0.1:1: Connection refused; '*'(exit code 69)' ]]
  MEDIATOR_URL="ws://127.0.0.1:1 $MEDIATOR_URL" doctor 0
}

@test "a refusal and a peer that proves nothing have the codes of a call, and no other agent counts" {
  peer_settings refused-unauthorized
  unset MEDIATOR_SCRIPT
  doctor 77
  peer_settings wrong-proof
  unset MEDIATOR_SCRIPT
  MEDIATOR_URL="$MEDIATOR_URL ws://127.0.0.1:1" doctor 77
}

@test "a pod that lacks what the URL needs is told so" {
  MEDIATOR_URL=wss://127.0.0.1:1 run --separate-stderr env PATH='' "$BASH" "$STUB" --doctor </dev/null
  [ "$status" = 78 ]
  [[ ${lines[-1]} == 'FAIL  wss://127.0.0.1:1: wss:// needs openssl or curl'* ]]
}

@test "dates of HTTP become seconds" {
  local date
  stub_load
  for date in 0 951782399 951782400 1078012800 1709164800 1709251199 1735689599 1780000000 4102444800; do
    call doctor_epoch epoch "$(LC_ALL=C date -u -d "@$date" '+%a, %d %b %Y %H:%M:%S GMT')"
    # shellcheck disable=SC2154 # doctor_epoch sets it
    echo "$date: $epoch"
    [ "$epoch" = "$date" ]
  done
  run ! doctor_epoch epoch 'yesterday'
}
