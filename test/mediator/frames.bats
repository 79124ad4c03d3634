# The golden vectors of protocol/vectors/frames.json: whatever an agent sends, the stub prints what it should and ends as it should.

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
}

# vectors PATTERN: runs the stub, with bash alone, on all vectors whose fault matches.
vectors() {
  local name code fault status faults=0 count=0
  while read -r name code fault; do
    # shellcheck disable=SC2053 # a pattern
    [[ $fault == $1 ]] || continue
    peer_settings "$name"
    count=$((count + 1)) status=0
    PATH='' "$BASH" "$STUB" </dev/null >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" || status=$?
    [ "$status" = "$code" ] && cmp "$BATS_TEST_TMPDIR/out" "$PEER_DIR/$name.stdout" && diagnosed "$name" "$fault" "$status" && continue
    faults=$((faults + 1))
    echo "$name: code $status, not $code, or wrong output: $(cat "$BATS_TEST_TMPDIR/err")"
  done <"$PEER_DIR/vectors"
  [ "$faults" = 0 ] && [ "$count" -gt 0 ]
}

# diagnosed NAME FAULT STATUS: stderr begins with the script's, and what is no script's own end has exactly one line more.
diagnosed() {
  local size
  size=$(wc -c <"$PEER_DIR/$1.stderr")
  cmp <(head -c "$size" "$BATS_TEST_TMPDIR/err") "$PEER_DIR/$1.stderr" || return
  [ "$2" = valid ] || [ "$(tail -c "+$((size + 1))" "$BATS_TEST_TMPDIR/err" | grep -c '^mediator: ')" = 1 ]
}

@test "every valid stream is printed to the byte, with its exit code" {
  vectors valid
}

@test "every malformed frame, message and order ends the stub with one line, and never with success" {
  vectors '[fmo]*'
}
