# The stub's own table of failures is that of protocol/failures.ts.

bats_require_minimum_version 1.5.0

setup() {
  load ../helpers/mediator-stub
  stub_load
}

@test "every failure has the exit code that protocol/failures.ts gives it" {
  local line code count=0
  while IFS= read -r line; do
    [[ $line =~ ^\ +\'?([a-z-]+)\'?:\ \{\ exit:\ ([0-9]+) ]] || continue
    http_failure code "${BASH_REMATCH[1]}" 0
    echo "${BASH_REMATCH[1]}: $code, not ${BASH_REMATCH[2]}"
    [ "$code" = "${BASH_REMATCH[2]}" ]
    count=$((count + 1))
  done <"$PROTOCOL/failures.ts"
  [ "$count" -gt 25 ]
}

@test "what a peer says moves no cursor: control characters are spaces, those of ECMA-48 too, and letters stay" {
  out_printable $'a\e[2Jb\x7fc\r\n\tü é ÿ \u00a0€\xc2\x9b31m\xc2\x80\xc2\x9f. \xc3\x9b \xe2\x82\xac'
  [ "$PRINTABLE" = $'a [2Jb c   ü é ÿ \u00a0€ 31m  . \xc3\x9b \xe2\x82\xac' ]
  run doctor_ok $'CN=\xc2\x9b2J'
  [ "$output" = 'ok    CN= 2J' ]
}
