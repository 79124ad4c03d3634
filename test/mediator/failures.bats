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
