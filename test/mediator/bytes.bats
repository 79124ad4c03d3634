# Encodings of the stub.

bats_require_minimum_version 1.5.0

setup() {
  load ../helpers/mediator-stub
  stub_load
}

# json TEXT: encodes TEXT, and lets node decode it.
json() {
  local encoded
  bytes_json encoded "$1"
  printf %s "$encoded" | node -e 'process.stdout.write(JSON.parse(require("fs").readFileSync(0, "utf8")))'
}

@test "hex and base64 are what the system makes of the same bytes" {
  local hex base64 text
  for text in a ab abc abcd abcdefgh abcdefghi 'a longer text, of more than eight bytes'; do
    bytes_hex hex "$text"
    [ "$hex" = "$(printf %s "$text" | od -An -v -tx1 | tr -d ' \n')" ]
    bytes_base64 base64 "$hex"
    [ "$base64" = "$(printf %s "$text" | base64)" ]
  done
  bytes_hex hex ''
  [ -z "$hex" ]
}

@test "text without special characters is JSON as it is" {
  local encoded
  bytes_json encoded 'plain $(text) `with` ünïcödé & * ?'
  [ "$encoded" = '"plain $(text) `with` ünïcödé & * ?"' ]
  bytes_json encoded ''
  [ "$encoded" = '""' ]
}

@test "quotes, backslashes and every control character survive JSON" {
  local text=$'"quoted" \\ back\\\\slash & \x7f ü' code character
  for ((code = 1; code < 32; code++)); do
    printf -v character '\\x%02x' "$code"
    # shellcheck disable=SC2059 # the character is in the format
    printf -v character "$character"
    text+=$character$character
  done
  [ "$(json "$text" | od -An -tx1)" = "$(printf %s "$text" | od -An -tx1)" ]
}

@test "64 KiB of quotes, over the borders of pieces, survive JSON" {
  local text
  printf -v text '%65536s' ''
  text="x${text// /\"}"$'\n'
  [ "$(json "$text" | cksum)" = "$(printf %s "$text" | cksum)" ]
}

@test "a set of bytes and a length are checked" {
  bytes_within abc a-c 1 3
  run ! bytes_within abcd a-c 1 3
  run ! bytes_within '' a-c 1 3
  run ! bytes_within 'a*' a-c 1 3
  run ! bytes_within $'a\n' a-c 1 3
}

@test "a second that ends between a question and its read is no byte: read -t 0 reads nothing, and succeeds" {
  local zeros
  printf -v zeros '%40s' ''
  # From here on, every question for the time is answered by the next second.
  unset SECONDS
  ticks=0 SECONDS='ticks += 1'
  STDIN_PATIENCE=6
  run_load() {
    stdin_load
    STDIN_PATIENCE=0
    while [[ -z $STDIN_ENDED ]]; do stdin_read 100 10 || :; done
  }
  call run_load < <(printf '%s' "${zeros// /0}" | tr 0 '\0')
  [ "$STDIN_COUNT" -eq 40 ]
}

@test "a second that ends between a question and its read is no line of an answer" {
  local line='' status=0
  exec {WIRE_IN}< <(printf 'HTTP/1.1 101 Switching Protocols\r\n')
  unset SECONDS
  ticks=0 SECONDS='ticks += 1'
  call http_line line 2 || status=$?
  [ "$status" -ne 0 ] || [[ $line == HTTP/1.1* ]]
}

@test "a second that ends as an answer is waited for takes nothing from the time that it has" {
  exec {WIRE_IN}< <(printf 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n')
  CONNECT_TIMEOUT=1
  # The next second has begun at the second question for the time, and lasts.
  unset SECONDS
  ticks=0 SECONDS='(ticks += 1) > 1'
  call http_answer
  [ "$ANSWER_STATUS $ANSWER_TYPE" = '200 text/plain' ]
}
