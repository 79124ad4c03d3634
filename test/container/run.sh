#!/usr/bin/env bash
# The image of container/Containerfile, and one call through stub, sidecar and agent, each in a container as container/base has it: not root, root
# read-only, secrets as Kubernetes mounts them. Usage: run.sh ROOT ARCHIVE NODE; part of npm run test:systemd, whose Debian is the base image.
# No registry and no Kubernetes is needed. The last line is `N passed, N failed, N skipped`.
set -uo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." || exit

NOT_SHOWN='a Kubernetes API server: that the kubelet starts these pods, fsGroup, NetworkPolicy, probes in their time'
root=$1 archive=$2 node=$3
folder=$(mktemp -d /var/tmp/mediator-container.XXXXXX) || exit
trap 'leave' EXIT
passed=0 failed=0

pod() {
  podman --root "$folder/store" --runroot "$folder/run" --storage-driver vfs --cgroup-manager cgroupfs --runtime runc --events-backend none "$@"
}

main() {
  check_kustomize
  make_image || { fail 'the image is built' && return; }
  make_config || { fail 'the configuration is made' && return; }
  call
}

# The rendered objects are the ones that README.md promises. Its own parser reads the YAML; there is no schema.
check_kustomize() {
  local secrets=$folder/overlay/secrets name
  cp -R container "$folder/rendered" && secrets=$folder/rendered/overlay/secrets && mkdir -p "$secrets"
  for name in keys.yaml upstream.key agent.pem admin-token mediator.sh; do echo x >"$secrets/$name"; done
  # Debian 12 has none that is new enough.
  type -P kubectl >/dev/null || { NOT_SHOWN+=', kustomize: there is no kubectl' && return; }
  kubectl kustomize "$folder/rendered/overlay" >"$folder/rendered.yaml" || { fail 'kustomize renders the overlay' && return; }
  says 'kustomize renders a pod that Pod Security "restricted" takes' node test/container/restricted.ts "$folder/rendered.yaml"
}

make_image() {
  mkdir -p "$folder/base/usr/local/bin" "$folder/unpacked"
  tar -xzf "$archive" -C "$folder/unpacked" --strip-components=1 || return
  cp "$node" "$folder/base/usr/local/bin/node"
  tar -C "$root" --exclude=./var/cache/apt --exclude=./var/lib/apt --exclude=./proc --exclude=./sys --exclude=./dev -c . -C "$folder/base" usr/local/bin/node |
    pod import - base.invalid/debian:test >/dev/null || return
  pod build --quiet --isolation chroot --layers=false --pull=never -f container/Containerfile \
    --build-arg BASE=base.invalid/debian:test -t mediator-agent "$folder/unpacked" >/dev/null && pass 'the image is built from the release archive'
}

# As the atomic writer of Kubernetes lays volumes out: links over ..data into a folder of root and fsGroup, files of mode 0440.
volume() {
  local target=$1 file
  shift
  mkdir -p "$target/..2026"
  for file in "$@"; do
    cp "$file" "$target/..2026/" && ln -s "..data/${file##*/}" "$target/${file##*/}"
  done
  ln -s ..2026 "$target/..data"
  chown -hR 0:65532 "$target" && chmod 0440 "$target"/..2026/* && chmod 2755 "$target/..2026"
}

make_config() {
  local agent=$folder/agent work=$folder/work secret token
  mkdir -p "$work" "$folder/state" && chown 65532:65532 "$folder/state"
  # The agent: what `init` makes, on loopback, which all containers of the test share.
  mediator init --dir "$agent" --name localhost --listen 127.0.0.1:8443 --admin 127.0.0.1:9444 >/dev/null || return
  # shellcheck disable=SC2016 # of the script
  printf '#!/bin/bash\nread -r line\necho "got $line $1 as $(id -u)"\necho aside >&2\nexit 7\n' >"$agent/scripts/seven.sh"
  chmod 755 "$agent/scripts/seven.sh"
  chown -R 65532:65532 "$agent"
  # The sidecar, by the very file of the example, but for the address of the agent.
  secret=$(sed -n 's/^ *\(- \)\?secret: *//p' "$agent/keys.yaml" | tr -d \'\" | head -n 1)
  token=$(sed -n 's/^ *\(- \)\?id: *//p' "$agent/keys.yaml" | tr -d \'\" | head -n 1)
  printf '%s:%s\n' "$token" "$secret" >"$work/upstream.key"
  cp "$agent/tls/cert.pem" "$work/agent.pem" && cp "$agent/admin-token" "$work/admin-token"
  printf 'keys:\n  - { id: pod, secret: %s, scripts: ["seven"] }\n' "$(openssl rand -hex 24)" >"$work/keys.yaml"
  sed 's/agent\.example\.com/localhost/' container/base/agent.yaml >"$work/agent.yaml"
  volume "$folder/credentials" "$work"/{keys.yaml,upstream.key,agent.pem,admin-token}
  volume "$folder/config" "$work/agent.yaml"
  sed "s:/run/credentials:$work:" "$work/agent.yaml" >"$work/here.yaml" && chmod 600 "$work/keys.yaml"
  mediator stub --config "$work/here.yaml" --plaintext >"$work/mediator.sh" || return
  volume "$folder/stub" "$work/mediator.sh"
}

mediator() { node --disable-warning=ExperimentalWarning agent/main.ts "$@"; }

# container NAME USER OPTION... IMAGE ARGUMENT...: as the security context of the example says.
container() {
  local name=$1 user=$2
  shift 2
  pod run --detach --name "$name" --user "$user" --read-only --read-only-tmpfs=false --cap-drop ALL --security-opt no-new-privileges \
    --ulimit nofile=4096:4096 --ulimit nproc=4096:4096 "$@" >/dev/null
}

call() {
  local out status
  container agent 65532:65532 --network none -v "$folder/agent:$folder/agent" mediator-agent serve --config "$folder/agent/agent.yaml" || { fail 'the agent starts' && return; }
  container sidecar 65532:65532 --network container:agent -v "$folder/config:/etc/mediator:ro" -v "$folder/credentials:/run/credentials:ro" \
    -v "$folder/state:/var/lib/mediator" mediator-agent || { fail 'the sidecar starts' && return; }
  says 'the probe finds the sidecar alive' eventually probe
  says 'the agent is ready' eventually ready agent
  out=$(echo in | pod run --rm -i --network container:agent --user 65531:65531 --group-add 65532 --read-only --read-only-tmpfs=false --cap-drop ALL \
    --ulimit nofile=4096:4096 --ulimit nproc=4096:4096 --entrypoint bash -v "$folder/stub:/opt/mediator:ro" mediator-agent \
    /opt/mediator/mediator.sh seven arg 2>"$folder/stderr")
  status=$?
  says "stub, sidecar, agent: stdin, argument, stdout, stderr and exit code arrive ($status $out $(<"$folder/stderr"))" \
    test "$status $out $(<"$folder/stderr")" = '7 got in arg as 65532 aside'
  chmod 0444 "$folder/credentials/..2026/keys.yaml"
  out=$(pod run --rm --network none --user 65532:65532 --ulimit nofile=4096:4096 --ulimit nproc=4096:4096 \
    -v "$folder/config:/etc/mediator:ro" -v "$folder/credentials:/run/credentials:ro" mediator-agent 2>&1)
  says 'keys that the world may read are refused, with what to do' grep -q 'keys.yaml: has mode 0444.*defaultMode: 0440' <<<"$out"
  says 'the image holds nothing that its user may write' nothing_writable
}

# The command of the example itself.
probe() {
  pod exec sidecar node -e "$(node -e 'const { parse } = require("yaml"); const spec = parse(require("fs").readFileSync("container/base/deployment.yaml", "utf8"), { merge: true }).spec.template.spec; process.stdout.write(spec.containers[1].livenessProbe.exec.command[2])')"
}

ready() { pod logs "$1" 2>&1 | grep -q '^ready '; }

nothing_writable() {
  local found
  # shellcheck disable=SC2016 # JavaScript
  found=$(pod exec sidecar node -e 'const { accessSync, readdirSync } = require("fs");
for (const name of readdirSync("/opt/mediator-agent", { recursive: true })) try { accessSync(`/opt/mediator-agent/${name}`, 2); console.log(name); } catch {}') && [[ -z $found ]]
}

# eventually COMMAND...: until it succeeds, for a minute at most.
eventually() {
  local -i end=SECONDS+60
  until "$@" >/dev/null 2>&1; do ((SECONDS < end)) || return; done
}

says() {
  local what=$1
  shift
  if "$@"; then pass "$what"; else fail "$what"; fi
}
pass() { echo "ok    $1" && passed=$((passed + 1)); }
fail() { echo "FAIL  $1" && failed=$((failed + 1)); }

leave() {
  local name
  for name in sidecar agent; do pod rm --force --time 5 "$name" >/dev/null 2>&1; done
  [[ -z ${KEEP_LOG-} ]] || pod images
  pod unmount --all >/dev/null 2>&1
  rm -rf "$folder"
}

main
((failed == 0)) || for name in agent sidecar; do pod logs "$name" 2>&1 | tail -n 5; done
echo "not shown here: $NOT_SHOWN"
echo "$passed passed, $failed failed, 0 skipped"
((failed == 0 && passed > 0))
