#!/usr/bin/env bash
# npm run test:systemd: the release archive on a bare Debian that systemd has booted, in a container of systemd-nspawn without a network.
# The system is made by debootstrap from the mirror that this machine uses (44 s); KEEP=FOLDER keeps it there, and uses it again.
# What happens in it is booted.ts; then it is the base image of test/container/run.sh. The last line is `N passed, N failed, N skipped`; exit code 1 unless all passed.
set -uo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." || exit

# What only the container cannot show, because of this machine or because it is a container.
NOT_SHOWN='MemoryMax= and TasksMax= (not enforced in such a container), SELinux, a network that comes late, a reboot of real hardware'
NEEDED=(debootstrap:debootstrap systemd-nspawn:systemd-container systemd-analyze:systemd podman:podman runc:runc)
# What a bare Debian has, openssl, and what the examples need: doctor takes a script without its interpreter for a fault.
PACKAGES=systemd,systemd-sysv,dbus,openssl,procps,python3-minimal
# Seconds.
PATIENCE=400

folder=''
container=''

main() {
  check_needed
  trap leave EXIT
  trap 'exit 143' TERM HUP
  trap 'exit 130' INT
  folder=$(mktemp -d /var/tmp/mediator-systemd.XXXXXX) || exit
  check_units || exit
  make_system || exit
  boot
  containers
  report
}

check_needed() {
  local needed missing=()
  for needed in "${NEEDED[@]}"; do
    type -P "${needed%:*}" >/dev/null || missing+=("${needed%:*} is not installed (Debian: apt-get install ${needed#*:})")
  done
  ((EUID == 0)) || missing+=('only root may boot a container')
  ((${#missing[@]} > 0)) || return 0
  printf 'skipped: %s\n' "${missing[@]}"
  echo "0 passed, 0 failed, ${#missing[@]} skipped"
  exit 1
}

# The front's exposure, in tenths.
check_units() {
  systemd-analyze security --offline=true --threshold=20 --no-pager systemd/mediator-front.service >"$folder/security" && return
  cat "$folder/security"
  fail 'the exposure of the front is over 2.0'
  return 1
}

# Sets: root. A copy of nothing: the container writes into memory, over it.
make_system() {
  local mirror codename
  root=${KEEP:-$folder/root}
  # shellcheck disable=SC1091 # of the machine
  codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
  mirror=$(apt-get indextargets --format "\$(REPO_URI)" 'Created-By: Packages' 'Origin: Debian' "Codename: $codename" | head -n 1)
  if [[ ! -e $root/etc/os-release ]]; then
    echo "debootstrap $codename"
    debootstrap --variant=minbase "--include=$PACKAGES" "$codename" "$root" "$mirror" >"$folder/debootstrap.log" 2>&1 || {
      tail -n 20 "$folder/debootstrap.log"
      fail 'debootstrap failed'
      return 1
    }
  fi
  mkdir -p "$folder/shared/node/bin"
  cp "$(node -p process.execPath)" "$folder/shared/node/bin/node"
  MEDIATOR_DIST=$folder/shared/dist node systemd/package.ts || return
  cat >"$root/etc/systemd/system/test.service" <<'END'
[Unit]
After=multi-user.target
[Service]
Type=oneshot
Environment=HOME=/root
WorkingDirectory=/root
ExecStart=/shared/node/bin/node --disable-warning=ExperimentalWarning --test --test-concurrency=1 \
  --test-reporter=spec --test-reporter-destination=stdout --test-reporter=tap --test-reporter-destination=/shared/results /repository/test/systemd/booted.ts
StandardOutput=append:/shared/output
StandardError=append:/shared/output
ExecStopPost=systemctl poweroff --no-block
END
  mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
  ln -sfn ../test.service "$root/etc/systemd/system/multi-user.target.wants/test.service"
}

boot() {
  : >"$folder/shared/output"
  # Without the reaping of a systemd around it: its processes end with it.
  setpriv --pdeathsig KILL systemd-nspawn --quiet --boot "--directory=$root" --volatile=overlay --private-network --register=no --keep-unit \
    "--bind=$folder/shared:/shared" "--bind-ro=$PWD:/repository" --machine=mediator-test \
    </dev/null >"$folder/console" 2>&1 &
  container=$!
  timeout "$PATIENCE" tail --pid="$container" --sleep-interval=0.2 -n +1 -f "$folder/shared/output" || {
    tail -n 30 "$folder/console"
    echo "failed: the container still ran after $PATIENCE s"
  }
}

# The same Debian as a base image.
containers() {
  local archives=("$folder"/shared/dist/*.tar.gz)
  bash test/container/run.sh "$root" "${archives[0]}" "$folder/shared/node/bin/node" >"$folder/containers" 2>&1
  cat "$folder/containers"
}

report() {
  local counts
  counts=$(count pass fail cancelled skipped)
  [[ -n $counts ]] || { tail -n 30 "$folder/console" && counts='0 0 1 0'; }
  read -r passed failed cancelled skipped <<<"$counts"
  echo "not shown here: $NOT_SHOWN"
  [[ $(tail -n 1 "$folder/containers") =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed ]] && passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2])) || failed=$((failed + 1))
  echo "$passed passed, $((failed + cancelled)) failed, $skipped skipped"
  ((failed + cancelled + skipped == 0 && passed > 0))
}

# count WORD...: the counts of the closing lines of node:test, or nothing.
count() {
  local word
  [[ -e $folder/shared/results ]] || return
  for word in "$@"; do sed -n "s/^# $word //p" "$folder/shared/results" | tail -n 1; done | tr '\n' ' '
}

fail() {
  echo "failed: $1"
  echo '0 passed, 1 failed, 0 skipped'
}

leave() {
  [[ -z $container ]] || { kill -KILL "$container" && wait "$container"; } 2>/dev/null
  [[ -z $folder ]] || rm -rf "$folder"
}

main
