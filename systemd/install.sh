#!/usr/bin/env bash
# Installs the mediator agent on a host with systemd, or upgrades it: call it again from a newer archive. What exists is kept: configuration, keys,
# certificate, scripts, history. Needs root, bash, openssl, and Node; `install.sh --help` lists the options.
set -uo pipefail

# --- constants ------------------------------------------------------------------------------------------------------

SOURCE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
PROGRAM=/opt/mediator-agent # a folder for each version, and `current`, which names one of them
CONFIG=/etc/mediator
STATE=/var/lib/mediator
COMMAND=/usr/local/bin/mediator-agent
UNITS=(mediator-runner.service mediator-front.service)
UNIT_FOLDER=/usr/local/lib/systemd/system # below /etc is yours: `systemctl edit` writes there
SUBGROUP=$UNIT_FOLDER/mediator-runner.service.d/subgroup.conf
SYSUSERS=/usr/local/lib/sysusers.d/mediator.conf
TMPFILES=/usr/local/lib/tmpfiles.d/mediator.conf
COMPLETION=/usr/local/share/bash-completion/completions/mediator-agent
NEEDED=(systemctl:systemd systemd-sysusers:systemd systemd-tmpfiles:systemd systemd-notify:systemd openssl:openssl sha256sum:coreutils)

# --- options --------------------------------------------------------------------------------------------------------

ACTION=install
NAMES=()
LISTEN=''
NODE=''
START=1
DRY=''

# A folder with what a first installation begins with, until that is copied to $CONFIG.
FIRST=''

main() {
  read_options "$@"
  check_options
  check_system
  trap '[[ -z $FIRST ]] || rm -rf "$FIRST"' EXIT
  case $ACTION in
    install) install_agent ;;
    uninstall) uninstall_agent ;;
  esac
}

usage() {
  cat <<END
usage: install.sh [--name DNS_OR_IP]... [--listen ADDRESS:PORT] [--node FILE] [--no-start] [--dry-run]
       install.sh --uninstall [--dry-run]

  --name       how stubs reach this host; repeat it for several (default: the name of this host). Only for the first installation
  --listen     where stubs connect (default: 0.0.0.0:8443). Only for the first installation
  --node       the Node that runs the agent (default: what $CONFIG/node names, else the first in PATH that is new enough)
  --no-start   set everything up, and start nothing; what runs, runs on as it is
  --uninstall  remove program and units; $CONFIG and $STATE stay
  --dry-run    say what would be done, and change nothing

Called again, from this archive or a newer one, it upgrades, and keeps $CONFIG and $STATE. It waits for the runs that go on, for as
long as \`drain\` in agent.yaml allows.
END
}

read_options() {
  while (($# > 0)); do
    case $1 in
      --name) NAMES+=(--name "$(value "$@")") && shift ;;
      --listen) LISTEN=$(value "$@") && shift ;;
      --node) NODE=$(value "$@") && shift ;;
      --no-start) START='' ;;
      --uninstall) ACTION=uninstall ;;
      --dry-run) DRY=1 ;;
      --help | -h) usage && exit ;;
      *) die 64 "$1 is not an option of this installer; --help names those that there are. Nothing was changed" ;;
    esac || exit
    shift
  done
}

# value OPTION VALUE...: prints the value.
value() {
  [[ -n ${2-} ]] || die 64 "$1 needs a value"
  printf '%s' "$2"
}

# What would have no effect is not passed over in silence.
check_options() {
  if [[ $ACTION == uninstall ]]; then
    [[ -z ${NAMES[*]}$LISTEN$NODE && -n $START ]] || die 64 '--uninstall goes with --dry-run alone. Nothing was changed'
  elif [[ -e $CONFIG/agent.yaml && -n ${NAMES[*]}$LISTEN ]]; then
    die 64 "--name and --listen are for the first installation, and $CONFIG/agent.yaml is there already. Nothing was changed.
To upgrade, call again without them. What stubs dial and where the agent listens is changed by \`names\` and \`listen\` in that file; another name
needs another certificate and new stubs: \"Names and certificate\" in $SOURCE/docs/operations.md"
  fi
}

check_system() {
  local needed missing=''
  [[ -n $DRY ]] || ((EUID == 0)) || die 77 'run it as root: sudo ./install.sh'
  for needed in "${NEEDED[@]}"; do
    type -P "${needed%:*}" >/dev/null || missing+=" ${needed#*:}"
  done
  [[ -z $missing ]] || die 69 "missing:$missing; install them with your package manager, and call again"
}

# --- install --------------------------------------------------------------------------------------------------------

install_agent() {
  local version node_version
  check_archive
  find_node
  version=$(sed -n 's/^ *"version": "\(.*\)",$/\1/p' "$SOURCE/package.json")
  if [[ -e $CONFIG/agent.yaml ]]; then check_config; else draft_config; fi
  make_users
  install_program "$version"
  make_config
  name_node
  install_units
  start_units
  report "$version"
}

# What was unpacked is what was packed.
check_archive() {
  (cd "$SOURCE" && sha256sum --check --quiet SHA256SUMS) ||
    die 65 "files of $SOURCE are not those of the archive; unpack it again"
}

# Sets NODE and node_version.
find_node() {
  local oldest candidate found=''
  local -a candidates=("$CONFIG/node" "$(type -P node)" /usr/local/bin/node /opt/node*/bin/node)
  oldest=$(sed -n 's/.*"node": ">=\([0-9.]*\)".*/\1/p' "$SOURCE/package.json")
  [[ -z $NODE ]] || candidates=("$(absolute "$NODE")")
  for candidate in "${candidates[@]}"; do
    if [[ ! -f $candidate || ! -x $candidate ]]; then
      [[ -z $NODE ]] || found="; $candidate is no program"
      continue
    fi
    node_version=$(timeout 10 "$candidate" --version 2>/dev/null </dev/null | head -n 1)
    [[ $node_version =~ ^v[0-9]+(\.[0-9]+)+$ ]] || { found+="; $candidate is no Node" && continue; }
    found+="; $candidate is $node_version"
    printf 'v%s\n%s\n' "$oldest" "$node_version" | sort -C -V || continue
    [[ $candidate != "$CONFIG/node" ]] || candidate=$(readlink "$candidate")
    case $(readlink -f "$candidate") in
      /home/* | /root/* | /run/user/*) found+=', in a home folder, which the sandbox of the front does not see' && continue ;;
    esac
    NODE=$candidate
    return
  done
  die 69 "Node $oldest or newer is needed${found:-; none was found}.
Install one, for instance unpack node-v24.*-linux-x64.tar.xz from nodejs.org below /opt, and call: sudo ./install.sh --node /opt/node-v24.*-linux-x64/bin/node"
}

# absolute FILE: prints its path from / on; links stay.
absolute() {
  case $1 in /*) printf '%s' "$1" ;; *) printf '%s/%s' "$PWD" "$1" ;; esac
}

# An agent.yaml that the new version does not take must not stop what runs.
check_config() {
  local status=0 said
  said=$(agent check --config "$CONFIG/agent.yaml" 2>&1) || status=$?
  ((status <= 1)) || die 78 "$said
this version would not start with $CONFIG; mend it and call again. Nothing was changed"
}

# Made before anything is changed, so that a name or an address which cannot be used is told now.
draft_config() {
  ((${#NAMES[@]} > 0)) || NAMES=(--name "$(hostname --fqdn 2>/dev/null || hostname)" --name localhost)
  FIRST=$(mktemp -d) || die 1 'no temporary folder'
  agent init --dir "$FIRST/mediator" "${NAMES[@]}" ${LISTEN:+--listen "$LISTEN"} \
    --state "$STATE" --socket /run/mediator/runner.sock --credentials credentials >/dev/null || die 64 'the line above says what is wrong. Nothing was changed'
}

# The agent of this archive, before it is installed.
agent() {
  "$NODE" --disable-warning=ExperimentalWarning "$SOURCE/agent/bundle/mediator-agent.js" "$@"
}

make_users() {
  ! { id mediator && id mediator-front; } &>/dev/null || [[ ! -e $SYSUSERS ]] || return 0
  say 'users mediator (runner and scripts) and mediator-front'
  run install -D -m 644 "$SOURCE/systemd/mediator.sysusers.conf" "$SYSUSERS"
  run systemd-sysusers "$SYSUSERS"
}

# install_program VERSION: beside the version that runs, and then with one step in its place.
install_program() {
  local folder=$PROGRAM/$1
  say "program $folder"
  run rm -rf "$folder.new" "$folder.old"
  run mkdir -p "$folder.new"
  run cp -R "$SOURCE/." "$folder.new"
  run chown -R root:root "$folder.new"
  [[ ! -e $folder ]] || run mv "$folder" "$folder.old"
  run mv "$folder.new" "$folder"
  run ln -sfn "$1" "$PROGRAM/current.new"
  run mv -T "$PROGRAM/current.new" "$PROGRAM/current"
  run ln -sfn "$PROGRAM/current/systemd/mediator-agent" "$COMMAND"
  [[ -n $DRY ]] || { mkdir -p "${COMPLETION%/*}" && agent completion bash >"$COMPLETION"; } || die 1 "$COMPLETION could not be written"
}

# The first time only: configuration, a key, a certificate, examples; and who may read them. Everything here belongs to root. The runner's
# group may read scripts and their credentials, and the front nothing: systemd hands it the keys and the TLS key.
make_config() {
  if [[ -z $FIRST ]]; then
    say "kept: $CONFIG"
    # Versions before the admin listener made none, and the unit hands it to the front.
    [[ -e $CONFIG/admin-token || -n $DRY ]] || (umask 077 && openssl rand -hex 32 >"$CONFIG/admin-token")
    return
  fi
  say "configuration, key, certificate and examples in $CONFIG"
  [[ -z $DRY ]] || return 0
  mkdir -p "$CONFIG"
  mkdir -m 750 "$FIRST/mediator/credentials"
  chown -R root:root "$FIRST/mediator"
  chgrp mediator "$FIRST/mediator/scripts" "$FIRST/mediator/credentials"
  chmod 2750 "$FIRST/mediator/scripts" "$FIRST/mediator/credentials"
  chmod 644 "$FIRST/mediator/agent.yaml" # no secret is in it, and both users read it
  cp -a --no-clobber "$FIRST/mediator/." "$CONFIG"
  chmod 755 "$CONFIG"
}

name_node() {
  [[ $(readlink "$CONFIG/node") != "$NODE" ]] || return 0
  say "Node $NODE ($node_version), by $CONFIG/node"
  run ln -sfn "$NODE" "$CONFIG/node"
}

install_units() {
  local unit
  say "units ${UNITS[*]}"
  for unit in "${UNITS[@]}"; do run install -D -m 644 "$SOURCE/systemd/$unit" "$UNIT_FOLDER/$unit"; done
  install_subgroup
  run install -D -m 644 "$SOURCE/systemd/mediator.tmpfiles.conf" "$TMPFILES"
  run systemd-tmpfiles --create "$TMPFILES"
  run systemctl daemon-reload
  run systemctl --quiet enable "${UNITS[@]}"
}

# With it, the limits of manifests are enforced; systemd before 254 does not know it.
install_subgroup() {
  local version
  run rm -rf "${SUBGROUP%/*}"
  version=$(systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
  ((${version:-0} >= 254)) || return 0
  run install -D -m 644 "$SOURCE/systemd/subgroup.conf" "$SUBGROUP"
}

# The runner first: it lets runs finish, whose stubs read on through the old front. Then the front, through whose successor stubs resume.
start_units() {
  local unit
  [[ -n $START ]] || return 0
  for unit in "${UNITS[@]}"; do
    if systemctl --quiet is-active "$unit"; then say "restart $unit$(awaited "$unit")"; else say "start $unit"; fi
    run systemctl restart "$unit" || die 1 "$unit did not start: journalctl -u $unit -n 20"
  done
}

# awaited UNIT: prints what its end waits for, if it is the runner.
awaited() {
  local drain
  [[ $1 == mediator-runner.service ]] || return
  drain=$(sed -n 's/^drain: *\([^ #]*\).*/\1/p' "$CONFIG/agent.yaml" 2>/dev/null)
  printf '; it lets runs finish, for %s at most (drain in agent.yaml), and then ends them' "${drain:-30s}"
}

# report VERSION: and what is in nobody's way any more goes.
report() {
  local folder
  for folder in "$PROGRAM"/*; do
    case $folder in "$PROGRAM/$1" | "$PROGRAM/current" | "$PROGRAM/*") ;; *) run rm -rf "$folder" ;; esac
  done
  [[ -n $DRY ]] || tell_more "$1"
}

# tell_more VERSION: where things are, and what to type next.
tell_more() {
  local page doctor='mediator-agent doctor'
  page=$(systemctl show --value --property=StatusText mediator-front.service | grep -oE 'https?://[^ ;]+')
  [[ -n $START ]] || doctor="systemctl start ${UNITS[*]}"
  cat <<END
mediator-agent $1 is installed${START:+ and runs}.
  scripts    $CONFIG/scripts: drop yours in, readable for the user mediator
  settings   $CONFIG/agent.yaml; after a change: sudo systemctl reload ${UNITS[*]}
  web page   ${page:-the address that admin.listen in agent.yaml names}; it asks for a token: sudo cat $CONFIG/admin-token
Next:
  sudo $doctor
  sudo mediator-agent stub --host securechange --script notify-on-close --output notify-on-close.sh   # the file for the pod; a secret is in it
  less $PROGRAM/current/README.md
END
}

# --- uninstall ------------------------------------------------------------------------------------------------------

uninstall_agent() {
  local unit
  say "stop and remove ${UNITS[*]}, $PROGRAM, $COMMAND"
  for unit in mediator-front.service mediator-runner.service; do
    ! systemctl --quiet is-active "$unit" || say "stop $unit$(awaited "$unit")"
    [[ ! -e $UNIT_FOLDER/$unit ]] || run systemctl --quiet disable --now "$unit"
    run rm -f "$UNIT_FOLDER/$unit"
  done
  run rm -rf "${SUBGROUP%/*}"
  run systemctl daemon-reload
  run rm -rf "$PROGRAM" "$COMMAND" "$COMPLETION" "$SYSUSERS" "$TMPFILES" /run/mediator /run/mediator-front
  echo "kept: $CONFIG (configuration, keys, scripts), $STATE (history), the users mediator and mediator-front.
To remove them too: sudo rm -r $CONFIG $STATE $STATE-front; sudo userdel mediator; sudo userdel mediator-front"
}

# --- output ---------------------------------------------------------------------------------------------------------

# run COMMAND...: does it, or says it where nothing may be changed.
run() {
  if [[ -n $DRY ]]; then
    printf '+ %s\n' "$*"
  else
    "$@" || die 1 "this failed: $*"
  fi
}

say() {
  printf 'install: %s\n' "$1"
}

# die CODE MESSAGE
die() {
  printf 'install: %s\n' "$2" >&2
  exit "$1"
}

main "$@"
