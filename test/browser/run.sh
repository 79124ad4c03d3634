#!/usr/bin/env bash
# npm run test:browser: the page in a real Chromium. SCREENSHOTS=FOLDER keeps pictures there, in light and dark.
# The last line is `N passed, N failed, N skipped`.
set -uo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." || exit

if ! type -P chromium >/dev/null; then
  echo 'skipped: chromium is not installed, so that the page was not tested (Debian: apt-get install chromium)'
  echo '0 passed, 0 failed, 1 skipped'
  [[ ${CI-} != true ]]
  exit
fi
results=$(mktemp) || exit
trap 'rm -f "$results"' EXIT
node --test --test-timeout=120000 --test-reporter=spec --test-reporter-destination=stdout \
  --test-reporter=tap --test-reporter-destination="$results" test/browser/page.ts </dev/null
status=$?
count() { sed -n "s/^# $1 //p" "$results" | tail -n 1; }
failed=$(($(count fail) + $(count cancelled)))
((status == 0 || failed > 0)) || failed=1
echo "$(count pass) passed, $failed failed, $(count skipped) skipped"
((failed == 0))
