#!/usr/bin/env bash
# The tests. Usage:
#   test/run.sh              the bats suites, then the TypeScript suite
#   test/run.sh --node DIR   the TypeScript suite alone, on the Node whose `node` is in DIR
#   test/run.sh --slow       the files *.slow.ts: what would make it longer than ten minutes
# The last line is `N passed, N failed, N skipped`; .ci/run reads it. Exit code 1 if anything failed or nothing ran.
set -uo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." || exit

NODE_OLDEST=22.22
# Two test files at once: the machines have two cores, and end-to-end tests spend their time waiting.
CONCURRENCY=2
# One test, or one file of tests, that takes this long has hung. Milliseconds.
TIMEOUT=300000

passed=0 failed=0 skipped=0
results=$(mktemp) || exit
trap 'rm -f "$results"' EXIT

main() {
  case ${1-} in
    --node)
      PATH=${2:?the folder of a node is missing}:$PATH
      run_node 'test/**/*.test.ts'
      ;;
    --slow)
      run_node 'test/**/*.slow.ts'
      ;;
    '')
      run_bats
      run_node 'test/**/*.test.ts'
      ;;
    *)
      echo "usage: test/run.sh [--node DIR | --slow]" >&2
      exit 64
      ;;
  esac
  echo "$passed passed, $failed failed, $skipped skipped"
  [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}

run_bats() {
  local -a suites
  mapfile -t suites < <(find test -name '*.bats' | sort)
  [ "${#suites[@]}" -gt 0 ] || return 0
  if ! type -P bats >/dev/null; then
    echo "skipped: bats is not installed, so that ${#suites[@]} suites of the stub did not run (Debian: apt-get install bats)"
    skipped=1
    [ "${CI-}" = true ] && failed=1
    return
  fi
  bats --tap "${suites[@]}" </dev/null | tee "$results"
  local status=${PIPESTATUS[0]} skips
  skips=$(grep -Ec '^ok .* # skip' "$results")
  settle "$status" "$(($(grep -c '^ok ' "$results") - skips))" "$(grep -c '^not ok ' "$results")" "$skips"
}

# run_node FILES: a pattern.
run_node() {
  if ! node_is_new_enough; then
    echo "failed: node $(node --version) is older than $NODE_OLDEST; \`npm ci\` brings a newer one on Linux" >&2
    failed=$((failed + 1))
    return
  fi
  echo "node $(node --version)"
  node --test --test-concurrency="$CONCURRENCY" --test-timeout="$TIMEOUT" \
    --test-reporter=spec --test-reporter-destination=stdout --test-reporter=tap --test-reporter-destination="$results" \
    "$1" </dev/null
  settle "$?" "$(total pass)" "$(($(total fail) + $(total cancelled)))" "$(($(total skipped) + $(total todo)))"
}

node_is_new_enough() {
  printf 'v%s\n%s\n' "$NODE_OLDEST" "$(node --version)" | sort -C -V
}

# total WORD: the count of a closing line of node:test.
total() {
  local count
  count=$(sed -n "s/^# $1 //p" "$results" | tail -n 1)
  echo "${count:-0}"
}

# settle STATUS PASSED FAILED SKIPPED: adds up; a runner that fails without naming a failed test is one failure.
settle() {
  local status=$1 fails=$3
  [ "$status" -ne 0 ] && [ "$fails" -eq 0 ] && fails=1
  passed=$((passed + $2)) failed=$((failed + fails)) skipped=$((skipped + $4))
}

main "$@"
