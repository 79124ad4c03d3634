#!/usr/bin/env bash
# Usage: test/pods/bashes.sh FOLDER
# Fetches the static bashes of other Debian suites into FOLDER, each named by its version (5.1), and runs nothing of them. apt gets lists, cache and
# sources of its own there: those of this machine stay as they are. A suite that left the mirror is named, and is no failure: Debian archives old ones.
set -uo pipefail

SUITES=(
  bullseye # 5.1, as UBI 9 has it
  forky    # 5.3
)
# bash 4.4 is in none that the mirror still has.

main() {
  local folder=${1:?a folder is missing} suite status=0
  for suite in "${SUITES[@]}"; do
    fetch "$folder" "$suite" || status=1
  done
  return "$status"
}

# fetch FOLDER SUITE
fetch() {
  local work=$1/$2 said version
  mkdir -p "$work"/{lists,cache}/partial "$work/cache/archives/partial" || return
  printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' "$(mirror)" "$2" >"$work/sources"
  : >"$work/status"
  said=$(apt "$work" update 2>&1) || true
  if [[ $said == *'does not have a Release file'* ]]; then
    echo "not there: $2 is not on the mirror any more"
    return
  fi
  if ! { (cd "$work" && apt "$work" download bash-static >log 2>&1) && dpkg-deb -x "$work"/bash-static_*.deb "$work/root"; }; then
    echo "failed: bash-static of $2 could not be fetched"
    printf '%s\n' "$said" "$(cat "$work/log")"
    return 1
  fi
  version=$(basename "$work"/bash-static_*.deb) version=${version#bash-static_}
  find "$work/root" -name bash-static -type f -exec mv {} "$1/${version%%[!0-9.]*}" \;
  rm -r "$work"
}

# apt FOLDER COMMAND...
apt() {
  apt-get -qq -o Dir::State::lists="$1/lists" -o Dir::State::status="$1/status" -o Dir::Cache="$1/cache" -o Dir::Etc::sourcelist="$1/sources" \
    -o Dir::Etc::sourceparts=/dev/null -o APT::Sandbox::User=root "${@:2}"
}

# The mirror that this machine uses.
mirror() {
  # shellcheck disable=SC2016 # apt expands it
  apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep '/debian$' | head -n 1
}

main "$@"
