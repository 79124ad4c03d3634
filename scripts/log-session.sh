#!/usr/bin/env bash
# Logs who published what: one line, in the manner of syslog.
#
# Check Point SmartTask, trigger After Publish.
# $1         Base64 of the payload (JSON); MEDIATOR_PAYLOAD_FILE names a file with the same, decoded, of any size
# stdout     the line. Without jq it ends with the payload itself
# exit code  0 logged; 1 the payload cannot be read
set -euo pipefail

# The objects are listed up to ten of a kind. @json quotes: a name with a line break in it must not look like a second line.
# shellcheck disable=SC2016 # the dollars are variables of jq
readonly SUMMARY='
  def describe: (."new-object" // .) | "\(.type // "object") \(.name // .uid // "unknown")";
  def list: map(describe) | (.[:10] | join(", ")) + (if length > 10 then " and \(length - 10) more" else "" end);
  (.session // error("it has no session"))
  as {"user-name": $user, "session-name": $name, "domain-info": $domain}
  | "user=\($user // "unknown" | @json) session=\($name // "" | @json) domain=\($domain.name // "" | @json) "
  + if .operations
    then .operations
      | "added=\(."added-objects" // [] | list | @json) modified=\(."modified-objects" // [] | list | @json) "
      + "deleted=\(."deleted-objects" // [] | list | @json)"
    else "changes=unknown"
    end'

main() {
  local payload line time
  payload=$(read_payload "$@")
  [[ $payload =~ ^[[:space:]]*\{ ]] || die 'the payload is not JSON'
  if command -v jq >/dev/null; then
    line=$(jq -r "$SUMMARY" <<<"$payload") || die 'the payload is not what After Publish sends'
  else
    line="payload=${payload//[$'\r\n\t']/ }"
  fi
  TZ=UTC printf -v time '%(%Y-%m-%dT%H:%M:%SZ)T' -1
  printf '%s %s %s[%d]: published %s\n' "$time" "${HOSTNAME:-localhost}" log-session "$$" "$line"
}

# Prints the decoded payload.
read_payload() {
  if [[ -n ${MEDIATOR_PAYLOAD_FILE:-} ]]; then
    cat -- "$MEDIATOR_PAYLOAD_FILE" || die "cannot read $MEDIATOR_PAYLOAD_FILE"
  elif [[ -n ${1:-} ]]; then
    printf '%s' "$1" | base64 --decode 2>/dev/null || die 'the argument is not Base64'
  else
    die 'no payload: the first argument is missing'
  fi
}

# die MESSAGE. Inside $( ) it ends the subshell, and errexit then ends the script.
die() {
  printf 'log-session: %s\n' "$1" >&2
  exit 1
}

main "$@"
