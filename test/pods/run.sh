#!/usr/bin/env bash
# npm run test:pods: the stub in real minimal pods, and behind real proxies, against a real agent.
# All of it lives in a network, a process and a mount namespace of its own, with /tmp and /run in memory: however this ends, the kernel removes every
# interface, process, mount and file with them. The last line is `N passed, N failed, N skipped`; exit code 1 unless all passed.
set -uo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." || exit

# Without these there is no pod at all: program and Debian package.
NEEDED=(bwrap:bubblewrap ip:iproute2 unshare:util-linux nsenter:util-linux setpriv:util-linux openssl:openssl /bin/bash-static:bash-static)
sandbox='' bashes=''

main() {
  check_needed
  trap 'leave 143' TERM HUP
  trap 'leave 130' INT
  trap 'rm -rf "$bashes"' EXIT
  bashes=$(mktemp -d -p /var/tmp) && chmod 755 "$bashes" && bash test/pods/bashes.sh "$bashes" || exit
  # In the background and waited for, because bash does not run a trap while a command in the foreground goes on.
  setpriv --pdeathsig KILL -- unshare --net --mount --pid --mount-proc --fork --kill-child=KILL \
    env BASHES="$bashes" bash test/pods/run.sh --inside </dev/null &
  sandbox=$!
  wait "$sandbox"
}

check_needed() {
  local needed missing=()
  for needed in "${NEEDED[@]}"; do
    type -P "${needed%:*}" >/dev/null || missing+=("${needed%:*} is not installed (Debian: apt-get install ${needed#*:})")
  done
  ((EUID == 0)) || missing+=('only root may make the network of the pods')
  ((${#missing[@]} > 0)) || return 0
  printf 'skipped: %s\n' "${missing[@]}"
  echo "0 passed, 0 failed, ${#missing[@]} skipped"
  exit 1
}

# Process 1 of the sandbox: it collects what others leave to it.
inside() {
  mount -t tmpfs -o mode=1777 tmpfs /tmp && mount -t tmpfs tmpfs /run && ip link set lo up || exit
  TMPDIR=/tmp node test/pods/main.ts &
  wait $!
}

# leave CODE: the sandbox dies with its first process, and that one with unshare.
leave() {
  kill -KILL "$sandbox" 2>/dev/null
  wait "$sandbox" 2>/dev/null
  exit "$1"
}

case ${1-} in
  --inside) inside ;;
  *) main ;;
esac
