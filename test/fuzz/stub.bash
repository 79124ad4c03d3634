#!/usr/bin/env bash
# Carries out the cases of stub.test.ts: one bash that has the functions of the stub, and a subshell for each case.
# A case is a line on stdin, KIND FILE ARGUMENTS...; FILE has its bytes. What it printed is in FILE.out and FILE.err; its exit code is
# a line on stdout.
# shellcheck disable=SC2034,SC1091 # what is set here is read by the functions of the stub

# shellcheck source=mediator/mediator.sh
source "${BASH_SOURCE[0]%/*}/../../mediator/mediator.sh"

fuzz_main() {
  local kind file more
  set +eu -o noglob
  trap '' PIPE
  while read -r kind file more; do
    # shellcheck disable=SC2086 # the arguments are words of ours
    (fuzz_"$kind" "$file" $more) >"$file.out" 2>"$file.err" </dev/null
    printf '%s\n' $?
  done
}

# fuzz_frames FILE FRAME BULK: what came after the request, up to the loss of the connection; ends as the stub would.
fuzz_frames() {
  exec {WIRE_IN}<"$1" {WIRE_OUT}>/dev/null
  ACCEPT_FRAME=$2 ACCEPT_BULK=$3 URL_HOST=agent URL_PORT=1 WIRE_KIND=tcp WIRE_READY=1 ASKED=1 REQUEST_SENT=1
  session_converse || session_abandon
  session_acknowledge
  session_exit
}

# fuzz_answer FILE TRANSPORT: what came instead of the head of an HTTP answer.
fuzz_answer() {
  exec {WIRE_IN}<"$1"
  WIRE_KIND=$2 URL_HOST=agent URL_PORT=1 FAIL_MODE=closed WANTED_ACCEPT='s3pPLMBiTxaQ9kYGzzhZRbK+xOo=' WANTED_PROOF=0123456789abcdef0123456789abcdef
  { http_answer && http_verify; } || die "$PROBLEM_CODE" "$PROBLEM"
  doctor_clock
  printf believed
}

# fuzz_settings FILE: variables NAME=VALUE that end with NUL bytes; those that are named argument are arguments.
fuzz_settings() {
  local entry
  while IFS= read -r -d '' entry; do
    case $entry in
      argument=*) SCRIPT_ARGS+=("${entry#*=}") ;;
      BAKED_ENV=*) BAKED_ENV=${entry#*=} ;;
      *) export "${entry?}" ;;
    esac
  done <"$1"
  SCRIPT=script
  settings_load
  { url_parse "${URLS[0]}" && wire_choose && proxy_find; } || die "$PROBLEM_CODE" "$PROBLEM"
  session_compose
  printf '%s\0' "$URL_SCHEME" "$URL_HOST" "$URL_PORT" "$URL_PATH" "$START_MESSAGE"
}

# fuzz_bytes FILE: a text, and what the codecs make of it.
fuzz_bytes() {
  local text json hex base64 sha256 sha1
  IFS= read -r -d '' text <"$1"
  bytes_json json "$text"
  bytes_hex hex "$text"
  bytes_base64 base64 "$hex"
  crypto_sha256 sha256 "$SHA256_START" 0 "$hex"
  crypto_sha1 sha1 "$hex"
  printf '%s\0' "$json" "$hex" "$base64" "$sha256" "$sha1"
}

fuzz_main
