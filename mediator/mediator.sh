#!/bin/bash
# mediator: runs a script on another machine as if it ran here.
#
# Forwards one invocation (stdin, arguments, chosen environment variables) to a mediator agent, prints what the script
# printed, and exits with its exit code. Needs bash 4.4 or newer; for wss:// URLs also openssl or curl. Speaks mediator.v1,
# which protocol/README.md specifies; "section N" below means a section of that file.
#
# The file is in the order of a call. bash runs a file while it reads it, so five lines outside of the functions take the call
# as far as what is above them suffices: main_begin lets openssl open the connection, main_open opens any other, main_request
# asks for a WebSocket, main_ask sends the request, and main does the rest. What is below is read while openssl and the agent
# work; that takes 4 ms off a call.
#
# Conventions: results come back in the variable whose name is the first argument, or in the globals that the comment
# above a function names. A function that fails returns 1 and leaves PROBLEM_CODE and PROBLEM; only main, die and
# session_interrupted exit. All text is bytes, so ${#text} counts bytes, and no variable holds a NUL.
LC_ALL=C

# A file that was cut, while it was copied into the pod for instance, is never a success. One that a signal ends was not cut.
CUT='this file is not complete; make a new stub'
[[ ${BASH_SOURCE[0]:-$0} != "$0" ]] || {
  trap '(($? > 128)) || { printf "mediator: %s\n" "$CUT" >&2 && exit 78; }' EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
}

# Settings: `mediator-agent stub` fills them in. The environment overrides them; --help lists how.
# >>> settings
BAKED_URL=''
BAKED_ORDER='listed'
BAKED_KEY_ID=''
BAKED_KEY_INNER=''
BAKED_KEY_OUTER=''
BAKED_CALL=''
BAKED_CALL_STATE=''
BAKED_CA=''
BAKED_SCRIPT=''
BAKED_EVENT=''
BAKED_HOST='generic'
BAKED_TIMEOUT=''
BAKED_PLAINTEXT=''
BAKED_TRANSPORT='auto'
BAKED_ENV='SCW_*'
BAKED_FAIL=''
# <<< settings

# --- constants ------------------------------------------------------------------------------------------------------

STUB_VERSION='0.1.0'
SUBPROTOCOL='mediator.v1'
RUN_PATH='/v1/run'

ANSWER_LINES=64       # most header lines of an HTTP answer
ANSWER_LINE=4096      # longest line of an HTTP answer, bytes
MESSAGE_LIMIT=1048576 # longest message either way, bytes (section 2)
TEXT_LIMIT=2048       # longest message that is not output, bytes: a terminal record has at most about 1,100
STDIN_HEAD=4096       # bytes of stdin that are read without starting a process, and kept to be sent again
STDIN_BLOCK=65536     # first frame of a long stdin, bytes; each one doubles, up to MESSAGE_LIMIT
STDIN_PATIENCE=5      # seconds to wait for stdin before the request goes out without its beginning
STDIN_PULSE=10        # seconds without stdin after which an empty message tells the agent to go on waiting
BULK_FRAME=1048576    # accept.frame and accept.bulk (section 2) where dd exists, ...
BULK_FROM=32768       # ... which costs 2 ms a message: what bash needs to read 100 kB
BASH_FRAME=262145     # accept.frame without dd: as much as the agent reads at once, in whole blocks of stdio, and the type
STDIO_BLOCK=4096      # bytes that bash's stdout holds before it writes
WATCHED_FROM=2048     # bytes from which read goes without -t, which makes it read byte by byte, and the timer watches it
SLOWEST=8192          # bytes per second below which a long payload counts as stalled

OPCODE_CONTINUATION=0 OPCODE_TEXT=1 OPCODE_BINARY=2 OPCODE_CLOSE=8 OPCODE_PING=9 OPCODE_PONG=10 # RFC 6455, section 5.2

# --- globals --------------------------------------------------------------------------------------------------------

# Settings in force, by settings_load; the script or the event, and its arguments, by main.
URLS=() KEY_ID='' SECRET='' KEY_INNER='' KEY_OUTER='' CALL='' CALL_STATE='' CALL_SIZE=0 CA_PEM='' CA_FILE='' CERT_FILE='' CERT_KEY_FILE='' HOST='' TIMEOUT='' PLAINTEXT='' TRANSPORT='' ENV_NAMES=''
FAIL_MODE='' CONNECT_TIMEOUT=10 SILENCE=30 RESUME_WINDOW=60
SCRIPT='' EVENT='' SCRIPT_ARGS=() OPTION=''
PARTIAL=''     # set from main_begin on, until bash has read this file to its end
INTERRUPTED='' # a signal that came meanwhile, when the run might have been started

ERRORS=''                         # a copy of stderr: a signal may come while descriptor 2 is closed for a read
PROBLEM_CODE=0 PROBLEM=''         # why the last function failed: an exit code, and a line that says what to do
SHA256_PROGRAM='' SHA1_PROGRAM='' # the rounds as arithmetic expressions, made at first use
CONTROLS=() CONTROL_ESCAPES=()    # control characters and what they are in JSON, made at first use
ZEROS=''                          # a printf format for 1,024 NUL bytes, made at first use

TIMER_PID='' TIMER_IN='' TIMER_OUT='' TIMER_ARMED='' # the process that interrupts a read which takes too long
# What dd can do, a pipe for its reports, its process, its last report, and the bytes that it moved.
COPY_KIND='untried' COPY_REPORT='' COPY_PID='' COPY_IN='' COPY_OUT='' COPIED=0

# The connection: where to, its transport, its descriptors, the process that holds it if there is one.
URL_SCHEME='' URL_HOST='' URL_PORT='' URL_PATH='' AUDIENCE=''
PROXY='' PROXY_USER='' PROXY_PASSWORD='' # the HTTP proxy on the way to it, if there is one
BEGUN='' WIRE_STAGE='' WIRE_KIND='' WIRE_IN='' WIRE_OUT='' WIRE_PID='' WIRE_READY='' WIRE_ENDED=''
WIRE_FORMAT='' WIRE_ARGUMENTS=() # what is to be sent
NONCE='' AUTHORIZATION='' SOCKET_KEY='' WANTED_ACCEPT='' WANTED_PROOF=''
ASKING='' # names the headers that only --doctor wants
ANSWER_STATUS='' ANSWER_DATE='' ANSWER_SCRIPTS='' ANSWER_TYPE='' ANSWER_ACCEPT='' ANSWER_PROTOCOL='' ANSWER_PROOF='' ANSWER_FAILURE='' ANSWER_EXTENSIONS=''

OCTETS=() TEXT=''                                              # what wire_octets and wire_text read
FRAME_FINAL=0 FRAME_OPCODE=0 FRAME_SIZE=0                      # the header of the current frame
MESSAGE_OPEN='' MESSAGE_TYPE='' MESSAGE_TEXT='' MESSAGE_SIZE=0 # the current message, over all of its fragments

STDIN_SEGMENTS=('') STDIN_COUNT=0 STDIN_ENDED='' STDIN_LOADED='' STDIN_STREAMED='' # stdin's beginning, split at NUL bytes
TOKEN='' START_MESSAGE='' ASKED='' ACCEPT_FRAME=0 ACCEPT_BULK=0
REQUEST_SENT='' RUN_ID='' ACCEPTED='' READING='' LOST_UNTIL='' LOST_PAUSE=1 RECONNECTED=''
PRINTED_STDOUT=0 PRINTED_STDERR=0
OUTCOME='' OUTCOME_CODE=0 OUTCOME_STDOUT=0 OUTCOME_STDERR=0 OUTCOME_TEXT=''
PRINTABLE=''
STARTED='' # when --doctor began to measure

# --- output for the operator ------------------------------------------------------------------------------------------

# out_line TEXT: one line for the operator.
out_line() {
  out_printable "$1"
  printf 'mediator: %s\n' "$PRINTABLE" >&"${ERRORS:-2}" 2>&- || :
}

# out_printable TEXT: leaves it in PRINTABLE without control characters, U+0080 to U+009F among them: a terminal obeys these, too (ECMA-48).
out_printable() {
  PRINTABLE=${1//[[:cntrl:]]/ }
  PRINTABLE=${PRINTABLE//$'\xc2'[$'\x80'-$'\x9f']/ }
}

# fail CODE TEXT: leaves the problem for the caller; returns 1, so that it can be a function's last command.
fail() {
  PROBLEM_CODE=$1 PROBLEM=$2
  return 1
}

# die CODE TEXT: the end, when no run has an outcome.
die() {
  PARTIAL=''
  out_line "$2"
  out_verdict "$2" && exit 0
  exit "$1"
}

# out_verdict TEXT: what Check Point reads when there is no answer of a script, if the settings want that.
out_verdict() {
  local message
  [[ -n $FAIL_MODE ]] && ((PRINTED_STDOUT == 0)) || return 1
  bytes_json message "mediator: ${1//[[:cntrl:]]/ }"
  case $FAIL_MODE in
    open) printf '{"result":"success"}\n' ;;
    closed) printf '{"result":"failure","message":%s}\n' "$message" ;;
  esac
}

# --- main: the first half ---------------------------------------------------------------------------------------------

# Begins the call. Opens the connection if openssl can do that by itself, and so while everything else is read.
main_begin() {
  PARTIAL=1
  main_shell
  main_words "$@"
  [[ $OPTION != version && $OPTION != help ]] || return 0
  settings_load
  [[ -n $OPTION || ${URLS[0]} != wss://* ]] || wire_proxied || wire_begin "${URLS[0]}" || :
}

# Opens the connection, if that was not done.
main_open() {
  [[ -n $OPTION || -n $BEGUN ]] || wire_begin "${URLS[0]}" || :
}

# Asks for a WebSocket. Without BEGUN, nothing was begun.
main_request() {
  [[ -z $BEGUN ]] || wire_request
}

# Sends the request, if everything is usual: the agent answers as it should, and stdin is short. Where this file comes by stdin
# (bash -s), stdin is not for the script, and the rest of it is read first.
main_ask() {
  [[ -z $OPTION && $- != *s* ]] || return 0
  session_compose
  http_upgrade && [[ -n $STDIN_ENDED ]] && session_ask
}

# Makes bash behave as this file expects, whatever it was started with.
main_shell() {
  trap main_clean EXIT
  IFS=$' \t\n'
  set +eu +o posix -o noglob
  shopt -u nocasematch xpg_echo
  unset TMOUT
  ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 404)) || die 78 "bash $BASH_VERSION is too old; the stub needs 4.4 or newer"
  exec {ERRORS}>&2 || ERRORS=''
  trap '' PIPE # so that a failed write is seen where it happens
  trap 'session_interrupted INT 2' INT
  trap 'session_interrupted TERM 15' TERM
  trap 'session_interrupted HUP 1' HUP
}

# Leaves nothing behind, however the stub ends.
main_clean() {
  local status=$?
  [[ -z $COPY_PID ]] || { kill -KILL "$COPY_PID" && wait "$COPY_PID"; } 2>&-
  wire_close
  [[ -z $PARTIAL ]] || ((status != 0)) || die 78 "$CUT"
}

# session_interrupted NAME NUMBER: the end by a signal.
session_interrupted() {
  if [[ -n $READING ]]; then
    [[ -z $PARTIAL ]] || { INTERRUPTED="$*" && return; }
    session_cancel
  fi
  trap '' INT TERM HUP
  out_line "ended by SIG$1${RUN_ID:+; the agent was asked to cancel the run $RUN_ID}"
  exit $((128 + $2))
}

# Sets SCRIPT or EVENT, and SCRIPT_ARGS, or OPTION. A script that is baked in, or named by this file's name,
# gets every argument, and so does an event; the stub's own options are then spelled --mediator-....
main_words() {
  local name=${BASH_SOURCE[0]:-mediator} prefix='--mediator-'
  name=${name##*/} name=${name%.sh}
  SCRIPT=${MEDIATOR_SCRIPT:-} EVENT=${MEDIATOR_EVENT:-}
  [[ -n $SCRIPT$EVENT ]] || SCRIPT=$BAKED_SCRIPT EVENT=$BAKED_EVENT
  [[ -n $SCRIPT$EVENT || $name == mediator ]] || SCRIPT=$name
  [[ -n $SCRIPT$EVENT ]] || prefix='--'
  case ${1:-} in
    "${prefix}version" | "${prefix}help" | "${prefix}doctor") OPTION=${1#"$prefix"} && return ;;
  esac
  if [[ -n $SCRIPT$EVENT ]]; then
    SCRIPT_ARGS=("$@")
  elif (($# == 0)); then
    die 64 'no script is named; usage: mediator.sh SCRIPT [ARGUMENT]... <stdin, or --help'
  elif [[ $1 == -* ]]; then
    die 64 "there is no option $1; usage: mediator.sh SCRIPT [ARGUMENT]... <stdin, or --help"
  else
    SCRIPT=$1 SCRIPT_ARGS=("${@:2}")
  fi
}

# --- settings ---------------------------------------------------------------------------------------------------------

# Sets the settings in force from the baked ones and the environment; dies on a wrong one, naming it.
settings_load() {
  ENV_NAMES=$BAKED_ENV
  settings_choice FAIL_MODE "$BAKED_FAIL" BAKED_FAIL '' open closed
  settings_choice HOST "${MEDIATOR_HOST:-${BAKED_HOST:-generic}}" MEDIATOR_HOST generic securechange checkpoint
  settings_choice TRANSPORT "${MEDIATOR_TRANSPORT:-${BAKED_TRANSPORT:-auto}}" MEDIATOR_TRANSPORT auto openssl curl tcp
  settings_choice PLAINTEXT "${MEDIATOR_PLAINTEXT:-$BAKED_PLAINTEXT}" MEDIATOR_PLAINTEXT '' 0 1
  settings_number TIMEOUT "${MEDIATOR_TIMEOUT:-$BAKED_TIMEOUT}" MEDIATOR_TIMEOUT 86400
  settings_number CONNECT_TIMEOUT "${MEDIATOR_CONNECT_TIMEOUT:-10}" MEDIATOR_CONNECT_TIMEOUT 3600
  settings_number SILENCE "${MEDIATOR_SILENCE:-30}" MEDIATOR_SILENCE 3600
  settings_number RESUME_WINDOW "${MEDIATOR_RESUME_WINDOW:-60}" MEDIATOR_RESUME_WINDOW 86400
  settings_urls
  settings_event
  settings_key
  settings_ca
  settings_cert
}

# settings_choice VARIABLE VALUE NAME ALLOWED...
settings_choice() {
  local allowed
  printf -v "$1" %s "$2"
  for allowed in "${@:4}"; do [[ $2 != "$allowed" ]] || return 0; done
  die 78 "the setting $3 is \"$2\"; set it to one of: ${*:4}"
}

# settings_number VARIABLE VALUE NAME MOST: whole seconds, or nothing where the caller gave no default.
settings_number() {
  printf -v "$1" %s "$2"
  [[ -n $2 ]] || return 0
  { bytes_within "$2" 0-9 1 5 && ((10#$2 >= 1 && 10#$2 <= $4)); } || die 78 "the setting $3 is \"$2\"; set it to whole seconds from 1 to $4"
  printf -v "$1" %d $((10#$2)) # 08 is no number in JSON, and octal for bash
}

# Sets URLS.
settings_urls() {
  local url order
  # shellcheck disable=SC2206 # split at blanks on purpose; main has switched globbing off
  URLS=(${MEDIATOR_URL:-$BAKED_URL})
  ((${#URLS[@]} > 0)) || die 78 'no agent is set; set MEDIATOR_URL to wss://HOST:PORT, or make a stub with "mediator-agent stub"'
  for url in "${URLS[@]}"; do url_parse "$url" || die "$PROBLEM_CODE" "$PROBLEM"; done
  settings_choice order "${MEDIATOR_ORDER:-${BAKED_ORDER:-listed}}" MEDIATOR_ORDER listed random
  [[ $order == listed ]] || settings_shuffle
}

# Puts URLS into a random order, so that many stubs spread over the agents.
settings_shuffle() {
  local last at url
  for ((last = ${#URLS[@]} - 1; last > 0; last--)); do
    at=$((RANDOM % (last + 1))) url=${URLS[last]}
    URLS[last]=${URLS[at]} URLS[at]=$url
  done
}

# Replaces the event SCW_EVENT by the one that SecureChange names in its variable.
settings_event() {
  local set=$EVENT
  [[ $EVENT != SCW_EVENT ]] || EVENT=${SCW_EVENT:-}
  [[ -n $EVENT || -z $set ]] || die 64 'the variable SCW_EVENT is not set, so that the event is not known; SecureChange sets it, or set MEDIATOR_EVENT'
  { ((${#EVENT} <= 100)) && [[ $EVENT != *[[:cntrl:]]* ]]; } || die 78 'the setting MEDIATOR_EVENT is longer than 100 bytes, or not one line'
}

# Sets KEY_ID, and what is baked in for it or SECRET, of which wire_request makes the same. The secret leaves the environment of everything started from here.
settings_key() {
  if [[ -n ${MEDIATOR_KEY:-} ]]; then
    KEY_ID=${MEDIATOR_KEY%%:*}
    { [[ $MEDIATOR_KEY == *:* ]] && bytes_within "$KEY_ID" A-Za-z0-9._- 1 64 && bytes_within "${MEDIATOR_KEY#*:}" A-Za-z0-9_- 32 64; } ||
      die 78 'the setting MEDIATOR_KEY is malformed; set it to ID:SECRET as "mediator-agent keys create" prints it'
    SECRET=${MEDIATOR_KEY#*:} CALL=''
    unset MEDIATOR_KEY
    return
  fi
  [[ -n $BAKED_KEY_ID ]] || die 78 'no key is set; set MEDIATOR_KEY to ID:SECRET, or make a stub with "mediator-agent stub"'
  { bytes_within "$BAKED_KEY_ID" A-Za-z0-9._- 1 64 && bytes_within "$BAKED_KEY_INNER$BAKED_KEY_OUTER" 0-9a-f 128 128 &&
    bytes_within "$BAKED_CALL_STATE" 0-9a-f 0 64; } || die 78 'the setting BAKED_KEY_... or BAKED_CALL_STATE is malformed; make a new stub with "mediator-agent stub"'
  KEY_ID=$BAKED_KEY_ID KEY_INNER=$BAKED_KEY_INNER KEY_OUTER=$BAKED_KEY_OUTER CALL=$BAKED_CALL CALL_STATE=$BAKED_CALL_STATE
}

# Sets CA_FILE, CA_PEM or neither: then openssl's own store decides. Who reads a PEM file skips the lines that are not PEM, so the
# certificate in this file needs no other one, and neither /proc nor /tmp. A stub that is no file (bash -c) needs /dev/fd.
settings_ca() {
  if [[ -n ${MEDIATOR_CA:-} ]]; then
    [[ -f $MEDIATOR_CA && -r $MEDIATOR_CA ]] || die 78 "the setting MEDIATOR_CA is \"$MEDIATOR_CA\", which is not a readable file"
    CA_FILE=$MEDIATOR_CA
  elif [[ -n $BAKED_CA ]]; then
    [[ $BAKED_CA == *'-----BEGIN '*'-----END '* ]] || die 78 'the setting BAKED_CA is not a certificate in PEM; make a new stub with "mediator-agent stub"'
    if [[ $BAKED_CA == $'\n'* && ${BASH_SOURCE[0]:-} == "$0" && -f $0 && -r $0 ]]; then
      CA_FILE=$0
    elif [[ -d /dev/fd ]]; then
      CA_PEM=$BAKED_CA
    else
      die 78 'the certificate of this stub cannot be handed on without /dev/fd; start the stub as a file: bash /path/of/the/stub'
    fi
  fi
}

# Sets CERT_FILE and CERT_KEY_FILE, or neither. Nobody could type a passphrase where the stub runs.
settings_cert() {
  local key
  CERT_FILE=${MEDIATOR_CERT:-} CERT_KEY_FILE=${MEDIATOR_CERT_KEY:-${MEDIATOR_CERT:-}}
  [[ -n $CERT_FILE$CERT_KEY_FILE ]] || return 0
  [[ -f $CERT_FILE && -r $CERT_FILE ]] || die 78 "the setting MEDIATOR_CERT is \"$CERT_FILE\", which is not a readable file"
  [[ -f $CERT_KEY_FILE && -r $CERT_KEY_FILE ]] || die 78 "the setting MEDIATOR_CERT_KEY is \"$CERT_KEY_FILE\", which is not a readable file"
  IFS= read -r -d '' key <"$CERT_KEY_FILE"
  [[ $key != *ENCRYPTED* ]] || die 78 "the key in $CERT_KEY_FILE has a passphrase; set MEDIATOR_CERT_KEY to one without"
}

# url_parse URL: sets URL_SCHEME, URL_HOST, URL_PORT, URL_PATH and AUDIENCE.
url_parse() {
  local rest=${1#*://} port letters='A-Za-z0-9._-'
  URL_SCHEME=${1%%://*} URL_PATH=/${1#*://*/}
  [[ $rest == */?* ]] || URL_PATH=$RUN_PATH
  rest=${rest%%/*}
  if [[ $rest == \[*\]* ]]; then
    letters='0-9A-Fa-f:.' rest=${rest#\[} URL_HOST=${rest%%\]*} port=${rest#*\]}
  else
    URL_HOST=${rest%%:*} port=${rest#"${rest%%:*}"}
  fi
  if [[ -z $port ]]; then
    [[ $URL_SCHEME == wss ]] && port=:443 || port=:80
  fi
  URL_PORT=${port#:} AUDIENCE=${URL_HOST,,}
  [[ $1 == ws://* || $1 == wss://* ]] && [[ $port == :* && $URL_PATH != *[!!-~]* ]] && bytes_within "$URL_HOST" "$letters" 1 253 &&
    bytes_within "$URL_PORT" 0-9 1 5 && ((10#$URL_PORT >= 1 && 10#$URL_PORT <= 65535)) && return
  fail 78 "the setting MEDIATOR_URL has \"$1\", which is not wss://HOST:PORT or ws://HOST:PORT"
}

# --- bytes ------------------------------------------------------------------------------------------------------------

# bytes_within TEXT SET LEAST MOST: succeeds if TEXT has LEAST to MOST bytes, all of the bracket expression SET. A regular
# expression with counts would take bash a millisecond to compile.
bytes_within() {
  # shellcheck disable=SC2053 # the set is a pattern
  ((${#1} >= $3 && ${#1} <= $4)) && [[ $1 != *[!$2]* ]]
}

# bytes_json VARIABLE TEXT: TEXT as a JSON string with its quotes. In pieces, because replacing many characters in a long
# text takes the square of its length.
bytes_json() {
  local left=$2 piece done=''
  if [[ $left != *[\"\\[:cntrl:]]* ]]; then
    printf -v "$1" '"%s"' "$left"
    return
  fi
  while [[ -n $left ]]; do
    piece=${left:0:1024} left=${left:1024}
    bytes_escape piece
    done+=$piece
  done
  printf -v "$1" '"%s"' "$done"
}

# bytes_escape VARIABLE: replaces what JSON does not allow inside of a string.
bytes_escape() {
  local text=${!1} backslash=$'\\' quote='"' at
  text=${text//"$backslash"/"$backslash$backslash"}
  text=${text//"$quote"/"$backslash$quote"}
  if [[ $text == *[[:cntrl:]]* ]]; then
    ((${#CONTROLS[@]} > 0)) || bytes_controls
    for at in "${!CONTROLS[@]}"; do text=${text//"${CONTROLS[at]}"/"${CONTROL_ESCAPES[at]}"}; done
  fi
  printf -v "$1" %s "$text"
}

# Sets CONTROLS and CONTROL_ESCAPES.
bytes_controls() {
  local code hex
  for ((code = 1; code < 32; code++)); do
    printf -v hex %02x "$code"
    # shellcheck disable=SC2059 # the character is in the format
    printf -v "CONTROLS[code]" "\\x$hex"
    CONTROL_ESCAPES[code]="\\u00$hex"
  done
}

# --- wire: the connection ---------------------------------------------------------------------------------------------

# wire_begin URL: opens the connection, but for curl, which opens it when it has the request.
wire_begin() {
  BEGUN=$1 WIRE_STAGE=failed
  url_parse "$1" && wire_choose && { ! wire_proxied || proxy_find; } || return
  case $WIRE_KIND in
    tcp) tcp_open || return ;;
    openssl) tls_open || return ;;
  esac
  WIRE_STAGE=open
}

# Sets WIRE_KIND to the transport for the URL; fails if the settings or the pod do not allow one. What was chosen stays: the
# other one would not trust a peer that this one does not, but it might be another version with another opinion.
wire_choose() {
  case $URL_SCHEME:$TRANSPORT in
    ws:auto | ws:tcp) WIRE_KIND=tcp ;;
    wss:openssl | wss:curl)
      WIRE_KIND=$TRANSPORT
      hash "$WIRE_KIND" 2>&- || fail 78 "the transport $WIRE_KIND is not in this PATH; install it, or set MEDIATOR_TRANSPORT to auto" || return
      ;;
    wss:auto)
      WIRE_KIND=openssl
      hash openssl 2>&- || WIRE_KIND=curl
      hash "$WIRE_KIND" 2>&- || fail 78 'wss:// needs openssl or curl, and neither is in this PATH; install one, or use a sidecar on loopback with ws://' || return
      ;;
    *) fail 78 "the transport $TRANSPORT cannot speak to $URL_SCHEME://$URL_HOST; set MEDIATOR_TRANSPORT to auto" || return ;;
  esac
  [[ $WIRE_KIND != tcp ]] || tcp_allowed || fail 78 "ws://$URL_HOST is not encrypted; use wss://, or set MEDIATOR_PLAINTEXT=1 if the network is yours alone"
}

# Succeeds if there may be a proxy on the way.
wire_proxied() {
  [[ -n ${https_proxy:-${HTTPS_PROXY:-}} ]]
}

# wire_start COMMAND...: starts a function that becomes the process which holds the connection. It outlives signals to the
# whole process group, so that the agent can still be told of them. Its stderr must never mix with payload: it goes where
# it cannot be written, to its own stdin.
wire_start() {
  local in out
  { coproc CLIENT { trap '' INT TERM HUP && "$@" 2>&0; }; } 2>&-
  WIRE_PID=$! # a variable of ours: bash unsets CLIENT and CLIENT_PID once it has noticed the end
  # shellcheck disable=SC2153 # coproc sets CLIENT
  in=${CLIENT[0]:-} out=${CLIENT[1]:-}
  [[ -n $in && -n $out ]] || fail 69 "$WIRE_KIND could not be started" || return
  exec {WIRE_IN}<&"$in" {WIRE_OUT}>&"$out" {in}<&- {out}>&-
}

wire_mute() {
  [[ -z $WIRE_OUT || $WIRE_OUT == "$WIRE_IN" ]] || exec {WIRE_OUT}>&-
  WIRE_OUT=''
}

# Closes the connection at once.
wire_close() {
  # First of all: a peer that was not believed does not even get the end of the request. bash would report the death, unless waited for.
  [[ -z $WIRE_PID ]] || { kill -KILL "$WIRE_PID" && wait "$WIRE_PID"; } 2>&-
  wire_mute
  [[ -z $WIRE_IN ]] || exec {WIRE_IN}<&-
  WIRE_PID='' WIRE_IN='' WIRE_READY='' WIRE_FORMAT='' WIRE_ARGUMENTS=()
}

# --- transport openssl: TLS by openssl s_client in a coprocess --------------------------------------------------------

tls_open() {
  wire_start tls_client -quiet
}

# tls_client OPTIONS...: becomes s_client. No option here weakens the verification, and none may.
tls_client() {
  local -a options=(-connect "$URL_HOST:$URL_PORT" -verify_hostname "$AUDIENCE" -servername "$AUDIENCE")
  [[ $URL_HOST != *:* ]] || options[1]="[$URL_HOST]:$URL_PORT"
  ! tls_address || options[2]=-verify_ip options=("${options[@]:0:4}")
  options+=(-verify 16 -verify_return_error -no_ssl3 -no_tls1 -no_tls1_1 "$@")
  [[ -z $CERT_FILE ]] || options+=(-cert "$CERT_FILE" -key "$CERT_KEY_FILE")
  [[ -z $PROXY ]] || options+=(-proxy "$PROXY")
  [[ -z $PROXY_USER ]] || options+=(-proxy_user "$PROXY_USER" -proxy_pass env:MEDIATOR_PROXY_PASSWORD)
  [[ -z $PROXY_USER ]] || export MEDIATOR_PROXY_PASSWORD=$PROXY_PASSWORD
  [[ -z $TIMER_IN ]] || exec {TIMER_IN}>&- {TIMER_OUT}<&-
  [[ -z $ERRORS ]] || exec {ERRORS}>&-
  if [[ -n $CA_FILE ]]; then
    exec openssl s_client "${options[@]}" -partial_chain -CAfile "$CA_FILE"
  elif [[ -n $CA_PEM ]]; then
    exec openssl s_client "${options[@]}" -partial_chain -CAfile <(printf '%s\n' "$CA_PEM")
  else
    exec openssl s_client "${options[@]}"
  fi
}

# Succeeds if the URL has an address and no name: certificates state them differently, and SNI has none.
tls_address() {
  [[ $AUDIENCE == *:* || $AUDIENCE =~ ^[0-9]+(\.[0-9]+){3}$ ]]
}

# Tests source this file and call the functions one by one.
[[ ${BASH_SOURCE[0]:-$0} != "$0" ]] || main_begin "$@"

# --- timer: interrupts what bash cannot put a time limit on -----------------------------------------------------------
# read takes -t, but then reads byte by byte, 50 times slower; opening /dev/tcp takes no limit at all. The timer is a
# process that sends a signal when it was armed and not disarmed in time. The signal makes the read or the connect fail.

# timer_arm SECONDS
timer_arm() {
  timer_start
  TIMER_ARMED=1
  printf '%s\n' "$1" >&"$TIMER_IN" 2>&- || :
}

timer_disarm() {
  TIMER_ARMED=''
  printf '\n' >&"$TIMER_IN" 2>&- || :
}

# timer_sleep SECONDS: the timer never writes, so reading from it takes just as long.
timer_sleep() {
  timer_start
  IFS= read -r -t "$1" -u "$TIMER_OUT" _ || :
}

# Starts the process, once.
timer_start() {
  local in out
  [[ -z $TIMER_PID ]] || return 0
  trap timer_fired USR1
  { coproc TIMER { timer_main; }; } 2>&-
  # shellcheck disable=SC2153 # coproc sets TIMER
  in=${TIMER[1]} out=${TIMER[0]}
  exec {TIMER_IN}>&"$in" {TIMER_OUT}<&"$out" {in}>&- {out}<&-
  TIMER_PID=$!
}

# What the process does: reads a number of seconds, then wants another line before they are over.
timer_main() {
  local seconds line
  trap - USR1 INT TERM HUP
  [[ -z $ERRORS ]] || exec {ERRORS}>&-
  WIRE_PID=''
  wire_close
  while IFS= read -r seconds; do
    IFS= read -r -t "$seconds" line && continue
    (($? > 128)) || return # the end of input: the stub is gone
    kill -USR1 $$
    IFS= read -r line || return
  done
}

# The handler of the signal. A read that was interrupted goes on, and fails because its descriptor is closed.
timer_fired() {
  [[ -n $TIMER_ARMED ]] || return 0
  TIMER_ARMED=''
  wire_close
}

# --- proxy: what https_proxy and no_proxy say, as curl understands them -----------------------------------------------

# Sets PROXY to HOST:PORT of the HTTP proxy for the URL, or to nothing; fails if it is one that openssl cannot use.
proxy_find() {
  local url=${https_proxy:-${HTTPS_PROXY:-}} user
  PROXY='' PROXY_USER='' PROXY_PASSWORD=''
  [[ $URL_SCHEME == wss && -n $url ]] || return 0
  ! proxy_exempts "${no_proxy:-${NO_PROXY:-}}" || return 0
  if [[ $url == *://* && $url != http://* ]]; then
    [[ $WIRE_KIND == curl ]] || fail 78 "openssl speaks to http:// proxies only, and https_proxy is ${url%%://*}://; set MEDIATOR_TRANSPORT=curl, or name the agent in no_proxy" || return
    return 0
  fi
  url=${url#http://} url=${url%%/*} user=${url%@*} PROXY=${url##*@}
  [[ $PROXY == *:+([0-9]) ]] || PROXY+=:1080 # curl's default
  [[ $url == *@* ]] || return 0
  proxy_decode PROXY_USER "${user%%:*}"
  proxy_decode PROXY_PASSWORD "${user#*:}"
}

# proxy_decode VARIABLE TEXT: without the percent-encoding of URLs. A percent sign that encodes nothing stands for itself, as curl has it.
proxy_decode() {
  local left=${2//\\/\\\\} text=''
  while [[ $left == *%* ]]; do
    text+=${left%%'%'*} left=${left#*%}
    if [[ $left == [[:xdigit:]][[:xdigit:]]* ]]; then
      text+=\\x${left:0:2} left=${left:2}
    else
      text+=%
    fi
  done
  printf -v "$1" %b "$text$left"
}

# proxy_exempts LIST: succeeds if one of the names, domains, addresses and IPv4 networks is the agent's.
proxy_exempts() {
  local entry
  for entry in ${1//,/ }; do
    entry=${entry,,} entry=${entry#.}
    [[ $entry != '*' && $AUDIENCE != "$entry" && $AUDIENCE != *."$entry" ]] || return 0
    [[ $entry != */+([0-9]) ]] || ! proxy_network "$entry" || return 0
  done
  return 1
}

# proxy_network ADDRESS/BITS: succeeds if the agent's address is in that IPv4 network.
proxy_network() {
  local bits=${1##*/} network agent
  proxy_number network "${1%/*}" && proxy_number agent "$AUDIENCE" && bytes_within "$bits" 0-9 1 2 &&
    ((10#$bits <= 32 && (network ^ agent) >> (32 - 10#$bits) == 0))
}

# proxy_number VARIABLE ADDRESS: the address as a number; fails if it is not an IPv4 one.
proxy_number() {
  [[ $2 =~ ^([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})$ ]] || return
  printf -v "$1" %d $((10#${BASH_REMATCH[1]} << 24 | 10#${BASH_REMATCH[2]} << 16 | 10#${BASH_REMATCH[3]} << 8 | 10#${BASH_REMATCH[4]}))
}

# --- transport tcp: bash's own /dev/tcp, plaintext --------------------------------------------------------------------

# Where descriptor 2 is closed, the socket becomes it, and what bash says of a connect that was interrupted waits in there
# until the connect is over after all. A pipe that can only be read refuses it at once.
tcp_open() {
  local opened='' aside=- limited=''
  tcp_loopback || { timer_arm "$CONNECT_TIMEOUT" && aside=$TIMER_OUT limited=1; }
  { exec {WIRE_IN}<>"/dev/tcp/$URL_HOST/$URL_PORT"; } 2>&"$aside" && opened=1
  [[ -z $limited || -n $TIMER_ARMED ]] || limited=over
  [[ -z $TIMER_ARMED ]] || timer_disarm
  [[ -n $opened ]] && WIRE_OUT=$WIRE_IN && return
  WIRE_IN=''
  [[ $limited != over ]] || fail 69 "no answer from $URL_HOST:$URL_PORT within $CONNECT_TIMEOUT s; check address, port and firewall" || return
  tcp_explain
}

# Leaves the reason why the connection failed at once. Only bash's message tells, so another bash tries again, for as long as
# a connection may take.
tcp_explain() {
  local said=''
  wire_start tcp_complain || return
  IFS= read -r -t "$CONNECT_TIMEOUT" -u "$WIRE_IN" said 2>&- || :
  wire_close
  said=${said##*: }
  [[ $said != *'ervice not known'* && $said != *'name resolution'* && $said != *'ddress associated'* ]] || name_unknown || return
  fail 69 "cannot connect to $URL_HOST:$URL_PORT: ${said:-no answer}; check that the agent is up and that address and port are right"
}

# The problem that nobody here knows the name of the agent, or of the proxy.
name_unknown() {
  [[ -z $PROXY ]] || fail 69 "cannot connect to $URL_HOST:$URL_PORT by the proxy $PROXY: the name of the HTTP proxy is not found; check https_proxy" || return
  fail 69 "cannot connect to $URL_HOST:$URL_PORT: name not found; correct the name in the URL, tell this pod the name (DNS, hostAliases), or use an address that is in the agent's certificate"
}

tcp_complain() {
  { : <>"/dev/tcp/$URL_HOST/$URL_PORT"; } 2>&1
}

# Succeeds if plaintext may go there.
tcp_allowed() {
  [[ $PLAINTEXT == 1 ]] || tcp_loopback
}

tcp_loopback() {
  [[ $AUDIENCE == localhost || $AUDIENCE == ::1 || $AUDIENCE =~ ^127(\.[0-9]{1,3}){3}$ ]]
}

[[ ${BASH_SOURCE[0]:-$0} != "$0" ]] || main_open

# --- transport curl: TLS by curl, frames in the bodies of a POST (section 7) ------------------------------------------

curl_open() {
  wire_start curl_client -D - -X POST -T . -H 'Expect:' -H 'Accept:' -H 'Content-Type: application/octet-stream' -H "Mediator-Audience: $AUDIENCE" \
    ${ASKING:+-H "$ASKING"}
}

# curl_client OPTIONS...: becomes curl. No option here weakens the verification, and none may. -T . reads stdin without
# waiting for it.
curl_client() {
  local -a options=(-q -s -S -N --http1.1 --proto '=https' --tlsv1.2 --max-redirs 0 --globoff --path-as-is --suppress-connect-headers
    -A "mediator/$STUB_VERSION" --connect-timeout "$CONNECT_TIMEOUT" "$@")
  local host=$URL_HOST
  [[ $host != *:* ]] || host="[$host]"
  [[ -z $TIMER_IN ]] || exec {TIMER_IN}>&- {TIMER_OUT}<&-
  [[ -z $CERT_FILE ]] || options+=(--cert "$CERT_FILE" --key "$CERT_KEY_FILE")
  curl_secrets
  exec curl "${options[@]}" "https://$host:$URL_PORT$URL_PATH"
}

# Adds to the array of options what curl has to be given by a descriptor. The header with the stub's proof is worth a
# connection to whoever is faster with it, so it stays off the command line, where /proc shows it. Without /dev/fd, which
# <( ) needs, it is a here-string: a pipe from bash 5.1 on, a file that is gone again before. Without /proc, nobody sees
# command lines.
curl_secrets() {
  local header="Authorization: $AUTHORIZATION" ca=$CA_FILE fd
  if [[ -d /dev/fd ]]; then
    exec {fd}< <(printf '%s\n' "$header")
    header=@/dev/fd/$fd
    [[ -n $ca || -z $CA_PEM ]] || { exec {ca}< <(printf '%s\n' "$CA_PEM") && ca=/dev/fd/$ca; }
  elif [[ -d /proc/self/fd ]] && { exec {fd}<<<"$header"; } 2>&-; then
    header=@/proc/self/fd/$fd
  fi
  options+=(-H "$header")
  # Without --capath, curl trusts the store of the pod besides the certificate that it is given.
  [[ -z $ca ]] || options+=(--cacert "$ca" --capath /dev/null/none)
}

# --- bytes as hex digits and base64 ------------------------------------------------------------------------------------
BASE64='ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

# bytes_hex VARIABLE TEXT: the bytes of TEXT, which has to be ASCII, as hex digits. Eight at a time is twice as fast.
bytes_hex() {
  local at part digits=''
  for ((at = 0; at < ${#2}; at += 8)); do
    part=${2:at:8}
    printf -v part %02x%02x%02x%02x%02x%02x%02x%02x "'${part:0:1}" "'${part:1:1}" "'${part:2:1}" "'${part:3:1}" \
      "'${part:4:1}" "'${part:5:1}" "'${part:6:1}" "'${part:7:1}"
    digits+=$part
  done
  printf -v "$1" %s "${digits:0:2*${#2}}"
}

# bytes_base64 VARIABLE HEX: the bytes that HEX spells, in base64 with padding.
bytes_base64() {
  local encoded='' group at size=${#2}
  for ((at = 0; at < size; at += 6)); do
    group=${2:at:6}000000
    group=$((16#${group:0:6}))
    encoded+=${BASE64:group>>18:1}${BASE64:group>>12&63:1}${BASE64:group>>6&63:1}${BASE64:group&63:1}
  done
  case $((size % 6)) in
    2) encoded=${encoded%??}== ;;
    4) encoded=${encoded%?}= ;;
  esac
  printf -v "$1" %s "$encoded"
}

# --- crypto -----------------------------------------------------------------------------------------------------------
# SHA-256 (FIPS 180-4) and HMAC (RFC 2104). A hash is one arithmetic expression of all rounds: bash then looks up nothing but
# variables, 0.7 ms a block. Each word is kept twice side by side (DOUBLE): a shift to the right then rotates.

WORD=4294967295   # 2^32 - 1
DOUBLE=4294967297 # 2^32 + 1: multiplies a word into two copies side by side, so that one shift rotates it
SHA256_START='6a09e667bb67ae853c6ef372a54ff53a510e527f9b05688c1f83d9ab5be0cd19'
SHA256_K=(
  0x428a2f98 0x71374491 0xb5c0fbcf 0xe9b5dba5 0x3956c25b 0x59f111f1 0x923f82a4 0xab1c5ed5
  0xd807aa98 0x12835b01 0x243185be 0x550c7dc3 0x72be5d74 0x80deb1fe 0x9bdc06a7 0xc19bf174
  0xe49b69c1 0xefbe4786 0x0fc19dc6 0x240ca1cc 0x2de92c6f 0x4a7484aa 0x5cb0a9dc 0x76f988da
  0x983e5152 0xa831c66d 0xb00327c8 0xbf597fc7 0xc6e00bf3 0xd5a79147 0x06ca6351 0x14292967
  0x27b70a85 0x2e1b2138 0x4d2c6dfc 0x53380d13 0x650a7354 0x766a0abb 0x81c2c92e 0x92722c85
  0xa2bfe8a1 0xa81a664b 0xc24b8b70 0xc76c51a3 0xd192e819 0xd6990624 0xf40e3585 0x106aa070
  0x19a4c116 0x1e376c08 0x2748774c 0x34b0bcb5 0x391c0cb3 0x4ed8aa4a 0x5b9cca4f 0x682e6ff3
  0x748f82ee 0x78a5636f 0x84c87814 0x8cc70208 0x90befffa 0xa4506ceb 0xbef9a3f7 0xc67178f2)
# Sixteen rounds over the state a to h, %s for the constants, and the schedule of the words that follow w0 to w15. A round
# renames the state where the standard moves it; after eight rounds the names are back. Every value is two copies of a
# word side by side (times 0x100000001), so that one shift to the right rotates it.
SHA256_ROUNDS='
h+=(e>>6^e>>11^e>>25)+(g^e&(f^g))+%s+w0,d=(d+h&0xffffffff)*0x100000001,h=(h+(a>>2^a>>13^a>>22)+(a&b^c&(a^b))&0xffffffff)*0x100000001,
g+=(d>>6^d>>11^d>>25)+(f^d&(e^f))+%s+w1,c=(c+g&0xffffffff)*0x100000001,g=(g+(h>>2^h>>13^h>>22)+(h&a^b&(h^a))&0xffffffff)*0x100000001,
f+=(c>>6^c>>11^c>>25)+(e^c&(d^e))+%s+w2,b=(b+f&0xffffffff)*0x100000001,f=(f+(g>>2^g>>13^g>>22)+(g&h^a&(g^h))&0xffffffff)*0x100000001,
e+=(b>>6^b>>11^b>>25)+(d^b&(c^d))+%s+w3,a=(a+e&0xffffffff)*0x100000001,e=(e+(f>>2^f>>13^f>>22)+(f&g^h&(f^g))&0xffffffff)*0x100000001,
d+=(a>>6^a>>11^a>>25)+(c^a&(b^c))+%s+w4,h=(h+d&0xffffffff)*0x100000001,d=(d+(e>>2^e>>13^e>>22)+(e&f^g&(e^f))&0xffffffff)*0x100000001,
c+=(h>>6^h>>11^h>>25)+(b^h&(a^b))+%s+w5,g=(g+c&0xffffffff)*0x100000001,c=(c+(d>>2^d>>13^d>>22)+(d&e^f&(d^e))&0xffffffff)*0x100000001,
b+=(g>>6^g>>11^g>>25)+(a^g&(h^a))+%s+w6,f=(f+b&0xffffffff)*0x100000001,b=(b+(c>>2^c>>13^c>>22)+(c&d^e&(c^d))&0xffffffff)*0x100000001,
a+=(f>>6^f>>11^f>>25)+(h^f&(g^h))+%s+w7,e=(e+a&0xffffffff)*0x100000001,a=(a+(b>>2^b>>13^b>>22)+(b&c^d&(b^c))&0xffffffff)*0x100000001,
h+=(e>>6^e>>11^e>>25)+(g^e&(f^g))+%s+w8,d=(d+h&0xffffffff)*0x100000001,h=(h+(a>>2^a>>13^a>>22)+(a&b^c&(a^b))&0xffffffff)*0x100000001,
g+=(d>>6^d>>11^d>>25)+(f^d&(e^f))+%s+w9,c=(c+g&0xffffffff)*0x100000001,g=(g+(h>>2^h>>13^h>>22)+(h&a^b&(h^a))&0xffffffff)*0x100000001,
f+=(c>>6^c>>11^c>>25)+(e^c&(d^e))+%s+w10,b=(b+f&0xffffffff)*0x100000001,f=(f+(g>>2^g>>13^g>>22)+(g&h^a&(g^h))&0xffffffff)*0x100000001,
e+=(b>>6^b>>11^b>>25)+(d^b&(c^d))+%s+w11,a=(a+e&0xffffffff)*0x100000001,e=(e+(f>>2^f>>13^f>>22)+(f&g^h&(f^g))&0xffffffff)*0x100000001,
d+=(a>>6^a>>11^a>>25)+(c^a&(b^c))+%s+w12,h=(h+d&0xffffffff)*0x100000001,d=(d+(e>>2^e>>13^e>>22)+(e&f^g&(e^f))&0xffffffff)*0x100000001,
c+=(h>>6^h>>11^h>>25)+(b^h&(a^b))+%s+w13,g=(g+c&0xffffffff)*0x100000001,c=(c+(d>>2^d>>13^d>>22)+(d&e^f&(d^e))&0xffffffff)*0x100000001,
b+=(g>>6^g>>11^g>>25)+(a^g&(h^a))+%s+w14,f=(f+b&0xffffffff)*0x100000001,b=(b+(c>>2^c>>13^c>>22)+(c&d^e&(c^d))&0xffffffff)*0x100000001,
a+=(f>>6^f>>11^f>>25)+(h^f&(g^h))+%s+w15,e=(e+a&0xffffffff)*0x100000001,a=(a+(b>>2^b>>13^b>>22)+(b&c^d&(b^c))&0xffffffff)*0x100000001,
'
SHA256_SCHEDULE='
w0=(w0+(w1>>7^w1>>18^(w1&0xffffffff)>>3)+w9+(w14>>17^w14>>19^(w14&0xffffffff)>>10)&0xffffffff)*0x100000001,
w1=(w1+(w2>>7^w2>>18^(w2&0xffffffff)>>3)+w10+(w15>>17^w15>>19^(w15&0xffffffff)>>10)&0xffffffff)*0x100000001,
w2=(w2+(w3>>7^w3>>18^(w3&0xffffffff)>>3)+w11+(w0>>17^w0>>19^(w0&0xffffffff)>>10)&0xffffffff)*0x100000001,
w3=(w3+(w4>>7^w4>>18^(w4&0xffffffff)>>3)+w12+(w1>>17^w1>>19^(w1&0xffffffff)>>10)&0xffffffff)*0x100000001,
w4=(w4+(w5>>7^w5>>18^(w5&0xffffffff)>>3)+w13+(w2>>17^w2>>19^(w2&0xffffffff)>>10)&0xffffffff)*0x100000001,
w5=(w5+(w6>>7^w6>>18^(w6&0xffffffff)>>3)+w14+(w3>>17^w3>>19^(w3&0xffffffff)>>10)&0xffffffff)*0x100000001,
w6=(w6+(w7>>7^w7>>18^(w7&0xffffffff)>>3)+w15+(w4>>17^w4>>19^(w4&0xffffffff)>>10)&0xffffffff)*0x100000001,
w7=(w7+(w8>>7^w8>>18^(w8&0xffffffff)>>3)+w0+(w5>>17^w5>>19^(w5&0xffffffff)>>10)&0xffffffff)*0x100000001,
w8=(w8+(w9>>7^w9>>18^(w9&0xffffffff)>>3)+w1+(w6>>17^w6>>19^(w6&0xffffffff)>>10)&0xffffffff)*0x100000001,
w9=(w9+(w10>>7^w10>>18^(w10&0xffffffff)>>3)+w2+(w7>>17^w7>>19^(w7&0xffffffff)>>10)&0xffffffff)*0x100000001,
w10=(w10+(w11>>7^w11>>18^(w11&0xffffffff)>>3)+w3+(w8>>17^w8>>19^(w8&0xffffffff)>>10)&0xffffffff)*0x100000001,
w11=(w11+(w12>>7^w12>>18^(w12&0xffffffff)>>3)+w4+(w9>>17^w9>>19^(w9&0xffffffff)>>10)&0xffffffff)*0x100000001,
w12=(w12+(w13>>7^w13>>18^(w13&0xffffffff)>>3)+w5+(w10>>17^w10>>19^(w10&0xffffffff)>>10)&0xffffffff)*0x100000001,
w13=(w13+(w14>>7^w14>>18^(w14&0xffffffff)>>3)+w6+(w11>>17^w11>>19^(w11&0xffffffff)>>10)&0xffffffff)*0x100000001,
w14=(w14+(w15>>7^w15>>18^(w15&0xffffffff)>>3)+w7+(w12>>17^w12>>19^(w12&0xffffffff)>>10)&0xffffffff)*0x100000001,
w15=(w15+(w0>>7^w0>>18^(w0&0xffffffff)>>3)+w8+(w13>>17^w13>>19^(w13&0xffffffff)>>10)&0xffffffff)*0x100000001,
'

# crypto_random VARIABLE: 128 random bits as hex digits. SRANDOM (bash 5.1) is getrandom(2).
crypto_random() {
  local code digits='' byte
  if [[ -n ${SRANDOM:-} ]]; then
    printf -v "$1" '%08x%08x%08x%08x' "$SRANDOM" "$SRANDOM" "$SRANDOM" "$SRANDOM"
  elif [[ -r /dev/urandom ]]; then
    while ((${#digits} < 32)) && IFS= read -r -d '' -n 1 byte; do
      printf -v code %d "'$byte"
      printf -v digits '%s%02x' "$digits" $((code & 255))
    done </dev/urandom
    printf -v "$1" %s "$digits"
  else
    crypto_scramble "$1"
  fi
}

# crypto_scramble VARIABLE: as crypto_random where the system offers no randomness: a hash over what differs between
# two calls. Unpredictable enough for a name that is never used twice, which is all that a nonce and a token are.
crypto_scramble() {
  local hash hex seed
  printf -v seed '%(%s)T' -1
  seed+=" $$ $PPID $RANDOM $RANDOM $RANDOM $SECONDS ${EPOCHREALTIME:-} $SECRET$KEY_INNER $NONCE $TOKEN $TIMER_PID"
  bytes_hex hex "$seed"
  crypto_sha256 hash "$SHA256_START" 0 "$hex"
  printf -v "$1" %s "${hash:0:32}"
}

# crypto_key_states SECRET: sets KEY_INNER and KEY_OUTER to the states of SHA-256 after the key block of HMAC with either
# padding. `mediator-agent stub` calls it as well.
crypto_key_states() {
  local hex inner='' outer='' at zeros
  bytes_hex hex "$1"
  printf -v zeros '%0128d' 0
  hex=${hex}${zeros:${#hex}}
  for ((at = 0; at < 128; at += 8)); do
    printf -v inner '%s%08x' "$inner" $((16#${hex:at:8} ^ 0x36363636))
    printf -v outer '%s%08x' "$outer" $((16#${hex:at:8} ^ 0x5c5c5c5c))
  done
  crypto_sha256_block KEY_INNER "$SHA256_START" "$inner"
  crypto_sha256_block KEY_OUTER "$SHA256_START" "$outer"
}

# crypto_proofs STUB AGENT METHOD TIME: both proofs of section 1 for NONCE. They are the halves of one HMAC.
crypto_proofs() {
  local hex hash
  crypto_call "$3"
  bytes_hex hex "$4"$'\n'"$NONCE"
  crypto_sha256 hash "$CALL_STATE" "$CALL_SIZE" "$hex"
  crypto_sha256 hash "$KEY_OUTER" 64 "$hash"
  printf -v "$1" %s "${hash:0:32}"
  printf -v "$2" %s "${hash:32}"
}

# crypto_call METHOD: sets CALL_STATE to the state of the HMAC's inner hash after the lines that are the same in every call,
# and CALL_SIZE to the bytes that are in it. `mediator-agent stub` bakes the state of one METHOD and AUDIENCE in.
crypto_call() {
  local text hex
  printf -v text '%s\n' "$SUBPROTOCOL" "$1" "$RUN_PATH" "$AUDIENCE" "$KEY_ID"
  printf -v text '%-*s' $(((${#text} + 63) / 64 * 64)) "$text"
  CALL_SIZE=$((64 + ${#text}))
  [[ $CALL != "$1 $AUDIENCE" ]] || return 0
  bytes_hex hex "$text"
  crypto_sha256_blocks CALL_STATE "$KEY_INNER" "$hex"
  CALL="$1 $AUDIENCE"
}

# crypto_sha256 VARIABLE STATE HASHED HEX: the hash, continued from STATE, in which HASHED bytes are already.
crypto_sha256() {
  local rest
  crypto_pad rest "$3" "$4"
  crypto_sha256_blocks "$1" "$2" "$rest"
}

# crypto_pad VARIABLE HASHED HEX: appends a one bit, zeros, and the length in bits of everything, up to a whole block.
crypto_pad() {
  printf -v "$1" '%s80%0*x' "$3" $(((238 - ${#3} % 128) % 128 + 16)) $((8 * ($2 + ${#3} / 2)))
}

# crypto_sha256_blocks VARIABLE STATE HEX: the state after whole blocks.
crypto_sha256_blocks() {
  local state=$2 blocks=$3
  while [[ -n $blocks ]]; do
    crypto_sha256_block state "$state" "${blocks:0:128}"
    blocks=${blocks:128}
  done
  printf -v "$1" %s "$state"
}

# crypto_sha256_block VARIABLE STATE BLOCK: the next state. State and block are hex digits, 64 and 128 of them.
# shellcheck disable=SC2034 # the program uses all of them
crypto_sha256_block() {
  local a b c d e f g h w0 w1 w2 w3 w4 w5 w6 w7 w8 w9 w10 w11 w12 w13 w14 w15
  [[ -n $SHA256_PROGRAM ]] || crypto_sha256_program
  ((a = 16#${2:0:8} * DOUBLE, b = 16#${2:8:8} * DOUBLE, c = 16#${2:16:8} * DOUBLE, d = 16#${2:24:8} * DOUBLE))
  ((e = 16#${2:32:8} * DOUBLE, f = 16#${2:40:8} * DOUBLE, g = 16#${2:48:8} * DOUBLE, h = 16#${2:56:8} * DOUBLE))
  ((w0 = 16#${3:0:8} * DOUBLE, w1 = 16#${3:8:8} * DOUBLE, w2 = 16#${3:16:8} * DOUBLE, w3 = 16#${3:24:8} * DOUBLE))
  ((w4 = 16#${3:32:8} * DOUBLE, w5 = 16#${3:40:8} * DOUBLE, w6 = 16#${3:48:8} * DOUBLE, w7 = 16#${3:56:8} * DOUBLE))
  ((w8 = 16#${3:64:8} * DOUBLE, w9 = 16#${3:72:8} * DOUBLE, w10 = 16#${3:80:8} * DOUBLE, w11 = 16#${3:88:8} * DOUBLE))
  ((w12 = 16#${3:96:8} * DOUBLE, w13 = 16#${3:104:8} * DOUBLE, w14 = 16#${3:112:8} * DOUBLE, w15 = 16#${3:120:8} * DOUBLE))
  ((SHA256_PROGRAM))
  printf -v "$1" %08x%08x%08x%08x%08x%08x%08x%08x \
    $(((16#${2:0:8} + a) & WORD)) $(((16#${2:8:8} + b) & WORD)) $(((16#${2:16:8} + c) & WORD)) $(((16#${2:24:8} + d) & WORD)) \
    $(((16#${2:32:8} + e) & WORD)) $(((16#${2:40:8} + f) & WORD)) $(((16#${2:48:8} + g) & WORD)) $(((16#${2:56:8} + h) & WORD))
}

# Sets SHA256_PROGRAM to all 64 rounds.
crypto_sha256_program() {
  local later
  # shellcheck disable=SC2059 # the tables hold %s for the constants; printf starts over for every 16 of them
  printf -v SHA256_PROGRAM "$SHA256_ROUNDS" "${SHA256_K[@]:0:16}"
  # shellcheck disable=SC2059
  printf -v later "$SHA256_SCHEDULE$SHA256_ROUNDS" "${SHA256_K[@]:16}"
  SHA256_PROGRAM+=${later}0
}

# --- the request: section 1 -------------------------------------------------------------------------------------------

# Sends the request over the connection that was opened.
wire_request() {
  [[ $WIRE_STAGE == open ]] || return
  WIRE_STAGE=failed
  [[ -z $SECRET ]] || { crypto_key_states "$SECRET" && SECRET=''; }
  if [[ $WIRE_KIND == curl ]]; then
    http_authorize POST
    curl_open || return
  else
    http_request || : # the answer says why
  fi
  WIRE_STAGE=requested
}

# wire_queue FORMAT ARGUMENTS...: as printf, but kept until wire_flush.
wire_queue() {
  WIRE_FORMAT+=$1
  WIRE_ARGUMENTS+=("${@:2}")
}

# Sends what was queued: in one write, or TCP holds the second one back until the first is acknowledged, which takes
# 40 ms (RFC 896); curl switches that off. bash writes at every newline. Where that cannot be helped, a ping goes first: its
# answer acknowledges.
wire_flush() {
  local format=$WIRE_FORMAT ping=''
  local -a arguments
  arguments=("${WIRE_ARGUMENTS[@]}") # not at once: `local -a a=(...)` makes one byte 1 of two in bash 5.1
  WIRE_FORMAT='' WIRE_ARGUMENTS=()
  [[ -n $WIRE_OUT ]] || return 1
  [[ -z $WIRE_READY || $WIRE_KIND == curl ]] || wire_single "$format" "${arguments[@]}" || frame_header ping "$OPCODE_PING" 0
  # shellcheck disable=SC2059 # a format is the only way to a NUL byte
  printf "$ping$format" "${arguments[@]}" 2>&- >&"$WIRE_OUT" || wire_lost 'the agent closed the connection'
}

# wire_single FORMAT ARGUMENTS...: succeeds if bash would write that at once.
wire_single() {
  local all="$*"
  ((${#all} < STDIO_BLOCK)) && [[ $all != *$'\n'* && $all != *'\x0a'* ]]
}

# wire_lost REASON: leaves the problem; returns 1.
wire_lost() {
  fail 69 "$1 ($URL_HOST:$URL_PORT)"
}

http_request() {
  local host=$URL_HOST key request
  [[ $host != *:* ]] || host="[$host]"
  crypto_random key
  bytes_base64 SOCKET_KEY "$key"
  http_authorize GET
  printf -v request '%s\r\n' "GET $URL_PATH HTTP/1.1" "Host: $host:$URL_PORT" 'Upgrade: websocket' 'Connection: Upgrade' \
    'Sec-WebSocket-Version: 13' "Sec-WebSocket-Key: $SOCKET_KEY" "Sec-WebSocket-Protocol: $SUBPROTOCOL" \
    "Mediator-Audience: $AUDIENCE" "Authorization: $AUTHORIZATION" ${ASKING:+"$ASKING"} ''
  wire_queue %s "$request"
  wire_flush
}

# http_authorize METHOD: sets NONCE, AUTHORIZATION, which has the stub's proof, and WANTED_PROOF, the agent's.
http_authorize() {
  local now proof
  printf -v now '%(%s)T' -1
  crypto_random NONCE
  crypto_proofs proof WANTED_PROOF "$1" "$now"
  AUTHORIZATION="Mediator key=\"$KEY_ID\", time=\"$now\", nonce=\"$NONCE\", proof=\"$proof\""
}

[[ ${BASH_SOURCE[0]:-$0} != "$0" ]] || main_request

# --- the answer: section 1 --------------------------------------------------------------------------------------------

# Verifies the answer to the request. What takes time without depending on the peer is done while it works.
http_upgrade() {
  [[ $WIRE_STAGE == requested ]] || return
  WIRE_STAGE=answered ANSWER_STATUS='' WIRE_ENDED=''
  [[ $WIRE_KIND == curl ]] || http_expect
  stdin_load
  http_answer && http_verify && WIRE_READY=1
}

# Sets WANTED_ACCEPT. The digits are 258EAFA5-E914-47DA-95CA-C5AB0DC85B11 (RFC 6455, section 4.2.2).
http_expect() {
  local hex guid=32353845414641352d453931342d343744412d393543412d433541423044433835423131
  bytes_hex hex "$SOCKET_KEY"
  crypto_sha1 hex "$hex$guid"
  bytes_base64 WANTED_ACCEPT "$hex"
}

# Reads status line and headers into ANSWER_*.
http_answer() {
  local line value count limit=$((SECONDS + CONNECT_TIMEOUT + 1)) # SECONDS counts whole ones: the first may be over at once
  ANSWER_DATE='' ANSWER_SCRIPTS='' ANSWER_TYPE='' ANSWER_ACCEPT='' ANSWER_PROTOCOL='' ANSWER_PROOF='' ANSWER_FAILURE='' ANSWER_EXTENSIONS=''
  http_line line "$limit" || return
  [[ "$line " == HTTP/1.[01]\ [1-9][0-9][0-9]\ * ]] || http_stranger 'something that is not HTTP' || return
  ANSWER_STATUS=${line:9:3}
  for ((count = 0; count < ANSWER_LINES; count++)); do
    http_line line "$limit" || return
    [[ -n $line ]] || return 0
    value=${line#*:} value=${value#"${value%%[![:blank:]]*}"} value=${value%"${value##*[![:blank:]]}"}
    line=${line%%:*}
    case ${line,,} in
      date) ANSWER_DATE=$value ;;
      content-type) ANSWER_TYPE=$value ;;
      sec-websocket-accept) ANSWER_ACCEPT=$value ;;
      sec-websocket-protocol) ANSWER_PROTOCOL=$value ;;
      sec-websocket-extensions) ANSWER_EXTENSIONS=$value ;;
      mediator-proof) ANSWER_PROOF=$value ;;
      mediator-failure) ANSWER_FAILURE=$value ;;
      mediator-scripts) ANSWER_SCRIPTS=$value ;;
    esac
  done
  http_stranger 'endless headers'
}

# http_line VARIABLE LIMIT: one line, before SECONDS reaches LIMIT.
http_line() {
  local text left=$(($2 - SECONDS)) # asked for once: a second later it might be 0, and read -t 0 succeeds without reading
  { [[ -n $WIRE_IN ]] && ((left > 0)); } || wire_lost "no complete answer within $CONNECT_TIMEOUT s" || return
  ((left <= CONNECT_TIMEOUT)) || left=$CONNECT_TIMEOUT
  IFS= read -r -t "$left" -n "$ANSWER_LINE" -u "$WIRE_IN" text 2>&- || http_silence $? || return
  ((${#text} < ANSWER_LINE)) || http_stranger 'an endless line' || return
  printf -v "$1" %s "${text%$'\r'}"
}

# http_silence STATUS: what a failed read means here.
http_silence() {
  if (($1 > 128)); then
    wire_lost "no answer within $CONNECT_TIMEOUT s; check address, port and firewall"
  else
    WIRE_ENDED=1
    wire_lost 'the connection was closed before an answer came; check that an agent listens there'
  fi
}

# http_stranger WHAT: the peer speaks, but it is not an agent.
http_stranger() {
  fail 78 "$URL_HOST:$URL_PORT is not an agent: it answered with $1; check the URL"
}

# Checks the answer; sections 1 and 7 name the conditions.
http_verify() {
  if [[ $WIRE_KIND == curl ]]; then
    [[ $ANSWER_STATUS == 200 ]] || http_refusal || return
    [[ $ANSWER_TYPE == application/octet-stream ]] || http_stranger "the content type \"${ANSWER_TYPE:0:64}\"" || return
  else
    [[ $ANSWER_STATUS == 101 ]] || http_refusal || return
    [[ $ANSWER_ACCEPT == "$WANTED_ACCEPT" ]] || http_stranger 'a wrong Sec-WebSocket-Accept' || return
    [[ $ANSWER_PROTOCOL == "$SUBPROTOCOL" ]] || http_stranger "the subprotocol \"${ANSWER_PROTOCOL:0:64}\"" || return
    [[ -z $ANSWER_EXTENSIONS ]] || http_stranger 'WebSocket extensions that nobody asked for' || return
  fi
  [[ $ANSWER_PROOF == "$WANTED_PROOF" ]] ||
    fail 77 "$URL_HOST:$URL_PORT does not know the secret of the key $KEY_ID: it is not the agent, or the stub is older than the key; make a new stub"
}

# Leaves the problem that any other status stands for.
http_refusal() {
  local line code
  if [[ -n $ANSWER_FAILURE ]]; then
    http_failure code "$ANSWER_FAILURE" "$ANSWER_STATUS"
    IFS= read -r -t 5 -n 1024 -u "$WIRE_IN" line 2>&- || :
    fail "$code" "${line:-the agent refused the call: $ANSWER_FAILURE}"
  elif [[ $ANSWER_STATUS == 50[234] ]]; then
    fail 69 "a proxy answered for the agent with status $ANSWER_STATUS; check that the agent behind $URL_HOST:$URL_PORT is up"
  else
    http_stranger "status $ANSWER_STATUS"
  fi
}

# http_failure VARIABLE NAME STATUS: the exit code for a failure (protocol/failures.ts); for one that is newer than
# this stub, by the HTTP status.
http_failure() {
  local found
  case $2 in
    invalid-text | request-too-large | stdin-too-large | stdin-incomplete) found=64 ;;
    slow-down | busy | draining | runner-away | unsettled-script | spool-full) found=75 ;;
    unauthorized | clock-skew | replayed | origin | not-allowed) found=77 ;;
    bad-request | not-found | misdirected | upgrade-required | headers-too-large | invalid-message | out-of-order) found=78 ;;
    unknown-run | internal) found=125 ;;
    argument-too-long | ambiguous-script | outside-folder | unsafe-script | unapproved-script | missing-interpreter | broken-manifest | cannot-start) found=126 ;;
    no-such-script | invalid-name) found=127 ;;
    *)
      case $3 in
        401 | 403) found=77 ;;
        429 | 503) found=75 ;;
        *) found=78 ;;
      esac
      ;;
  esac
  printf -v "$1" %s "$found"
}

# --- SHA-1 ------------------------------------------------------------------------------------------------------------
SHA1_START='67452301efcdab8998badcfe10325476c3d2e1f0'
# Five rounds each over the state a to e, k the constant, %s for the word, with the three functions that take turns; and the
# schedule of the next sixteen words.
SHA1_CHOOSE='
e=(e+(a>>27)+(d^b&(c^d))+k+%s&0xffffffff)*0x100000001,b>>=2,
d=(d+(e>>27)+(c^a&(b^c))+k+%s&0xffffffff)*0x100000001,a>>=2,
c=(c+(d>>27)+(b^e&(a^b))+k+%s&0xffffffff)*0x100000001,e>>=2,
b=(b+(c>>27)+(a^d&(e^a))+k+%s&0xffffffff)*0x100000001,d>>=2,
a=(a+(b>>27)+(e^c&(d^e))+k+%s&0xffffffff)*0x100000001,c>>=2,
'
SHA1_PARITY='
e=(e+(a>>27)+(b^c^d)+k+%s&0xffffffff)*0x100000001,b>>=2,
d=(d+(e>>27)+(a^b^c)+k+%s&0xffffffff)*0x100000001,a>>=2,
c=(c+(d>>27)+(e^a^b)+k+%s&0xffffffff)*0x100000001,e>>=2,
b=(b+(c>>27)+(d^e^a)+k+%s&0xffffffff)*0x100000001,d>>=2,
a=(a+(b>>27)+(c^d^e)+k+%s&0xffffffff)*0x100000001,c>>=2,
'
SHA1_MAJORITY='
e=(e+(a>>27)+(b&c|d&(b|c))+k+%s&0xffffffff)*0x100000001,b>>=2,
d=(d+(e>>27)+(a&b|c&(a|b))+k+%s&0xffffffff)*0x100000001,a>>=2,
c=(c+(d>>27)+(e&a|b&(e|a))+k+%s&0xffffffff)*0x100000001,e>>=2,
b=(b+(c>>27)+(d&e|a&(d|e))+k+%s&0xffffffff)*0x100000001,d>>=2,
a=(a+(b>>27)+(c&d|e&(c|d))+k+%s&0xffffffff)*0x100000001,c>>=2,
'
SHA1_SCHEDULE='
w0=((w0^w2^w8^w13)>>31&0xffffffff)*0x100000001,
w1=((w1^w3^w9^w14)>>31&0xffffffff)*0x100000001,
w2=((w2^w4^w10^w15)>>31&0xffffffff)*0x100000001,
w3=((w3^w5^w11^w0)>>31&0xffffffff)*0x100000001,
w4=((w4^w6^w12^w1)>>31&0xffffffff)*0x100000001,
w5=((w5^w7^w13^w2)>>31&0xffffffff)*0x100000001,
w6=((w6^w8^w14^w3)>>31&0xffffffff)*0x100000001,
w7=((w7^w9^w15^w4)>>31&0xffffffff)*0x100000001,
w8=((w8^w10^w0^w5)>>31&0xffffffff)*0x100000001,
w9=((w9^w11^w1^w6)>>31&0xffffffff)*0x100000001,
w10=((w10^w12^w2^w7)>>31&0xffffffff)*0x100000001,
w11=((w11^w13^w3^w8)>>31&0xffffffff)*0x100000001,
w12=((w12^w14^w4^w9)>>31&0xffffffff)*0x100000001,
w13=((w13^w15^w5^w10)>>31&0xffffffff)*0x100000001,
w14=((w14^w0^w6^w11)>>31&0xffffffff)*0x100000001,
w15=((w15^w1^w7^w12)>>31&0xffffffff)*0x100000001,
'

# crypto_sha1 VARIABLE HEX: the SHA-1 of the bytes that HEX spells. RFC 6455 asks for it; nothing depends on its strength.
crypto_sha1() {
  local state=$SHA1_START rest
  crypto_pad rest 0 "$2"
  while [[ -n $rest ]]; do
    crypto_sha1_block state "$state" "${rest:0:128}"
    rest=${rest:128}
  done
  printf -v "$1" %s "$state"
}

# crypto_sha1_block VARIABLE STATE BLOCK: the next state. State and block are hex digits, 40 and 128 of them.
# shellcheck disable=SC2034 # the program uses all of them
crypto_sha1_block() {
  local a b c d e k w0 w1 w2 w3 w4 w5 w6 w7 w8 w9 w10 w11 w12 w13 w14 w15
  [[ -n $SHA1_PROGRAM ]] || crypto_sha1_program
  ((a = 16#${2:0:8} * DOUBLE, b = 16#${2:8:8} * DOUBLE, c = 16#${2:16:8} * DOUBLE, d = 16#${2:24:8} * DOUBLE))
  ((e = 16#${2:32:8} * DOUBLE))
  ((w0 = 16#${3:0:8} * DOUBLE, w1 = 16#${3:8:8} * DOUBLE, w2 = 16#${3:16:8} * DOUBLE, w3 = 16#${3:24:8} * DOUBLE))
  ((w4 = 16#${3:32:8} * DOUBLE, w5 = 16#${3:40:8} * DOUBLE, w6 = 16#${3:48:8} * DOUBLE, w7 = 16#${3:56:8} * DOUBLE))
  ((w8 = 16#${3:64:8} * DOUBLE, w9 = 16#${3:72:8} * DOUBLE, w10 = 16#${3:80:8} * DOUBLE, w11 = 16#${3:88:8} * DOUBLE))
  ((w12 = 16#${3:96:8} * DOUBLE, w13 = 16#${3:104:8} * DOUBLE, w14 = 16#${3:112:8} * DOUBLE, w15 = 16#${3:120:8} * DOUBLE))
  ((SHA1_PROGRAM))
  printf -v "$1" %08x%08x%08x%08x%08x $(((16#${2:0:8} + a) & WORD)) $(((16#${2:8:8} + b) & WORD)) \
    $(((16#${2:16:8} + c) & WORD)) $(((16#${2:24:8} + d) & WORD)) $(((16#${2:32:8} + e) & WORD))
}

# Sets SHA1_PROGRAM to all 80 rounds. Every sixteenth makes the next words first.
crypto_sha1_program() {
  local -a words=(w0 w1 w2 w3 w4 w5 w6 w7 w8 w9 w10 w11 w12 w13 w14 w15) later
  local rounds
  later=("($SHA1_SCHEDULE w0)" "${words[@]:1}")
  rounds=k=0x5a827999,$SHA1_CHOOSE$SHA1_CHOOSE$SHA1_CHOOSE$SHA1_CHOOSE
  rounds+=k=0x6ed9eba1,$SHA1_PARITY$SHA1_PARITY$SHA1_PARITY$SHA1_PARITY
  rounds+=k=0x8f1bbcdc,$SHA1_MAJORITY$SHA1_MAJORITY$SHA1_MAJORITY$SHA1_MAJORITY
  rounds+=k=0xca62c1d6,$SHA1_PARITY$SHA1_PARITY$SHA1_PARITY$SHA1_PARITY
  # shellcheck disable=SC2059 # the tables hold %s for the words
  printf -v SHA1_PROGRAM "${rounds}0" "${words[@]}" "${later[@]}" "${later[@]}" "${later[@]}" "${later[@]}"
}

# --- frames: RFC 6455, section 5; what is sent ------------------------------------------------------------------------

# frame_send OPCODE TEXT: one whole message, masked with the key 0 (section 2 says why).
frame_send() {
  frame_queue "$1" "$2"
  wire_flush
}

# frame_queue OPCODE TEXT: the same, not yet sent.
frame_queue() {
  local header
  frame_header header "$1" "${#2}"
  wire_queue "$header%s" "$2"
}

# frame_header VARIABLE OPCODE SIZE: the header of a final frame, as a printf format.
frame_header() {
  local size
  if (($3 < 126)); then
    printf -v size '\\x%02x' $((128 | $3))
  elif (($3 < 65536)); then
    printf -v size '\\xfe\\x%02x\\x%02x' $(($3 >> 8)) $(($3 & 255))
  else
    printf -v size '\\xff\\0\\0\\0\\0\\x%02x\\x%02x\\x%02x\\x%02x' $(($3 >> 24)) $(($3 >> 16 & 255)) $(($3 >> 8 & 255)) $(($3 & 255))
  fi
  printf -v "$1" '\\x%02x%s\\0\\0\\0\\0' $((128 | $2)) "$size"
}

# Says that nothing more will be sent, where the transport works better for knowing it: curl reads its input and the
# agent's answer at the same time only by asking again and again, which takes a whole processor.
wire_hush() {
  [[ $WIRE_KIND == curl ]] || return 0
  wire_mute
}

# --- stdin ------------------------------------------------------------------------------------------------------------

# Reads the first STDIN_HEAD bytes of stdin, once, into STDIN_SEGMENTS, STDIN_COUNT and STDIN_ENDED. Check Point passes
# nothing useful on stdin and may leave it open for ever; a terminal is a person, who did not mean to type a ticket.
stdin_load() {
  [[ -z $STDIN_LOADED ]] || return 0
  STDIN_LOADED=1
  if [[ $HOST == checkpoint || -t 0 ]]; then
    STDIN_ENDED=1
    return
  fi
  local left limit=$((SECONDS + STDIN_PATIENCE))
  # The time is asked for once: a second later `left` might be 0, and read -t 0 succeeds without reading.
  while [[ -z $STDIN_ENDED ]] && ((STDIN_COUNT < STDIN_HEAD && (left = limit - SECONDS) > 0)); do
    stdin_read $((STDIN_HEAD - STDIN_COUNT)) "$left" || :
  done
}

# stdin_read MOST SECONDS: appends up to MOST bytes to STDIN_SEGMENTS. Fails if none came in time.
stdin_read() {
  local text status=0 last=$((${#STDIN_SEGMENTS[@]} - 1))
  IFS= read -r -t "$2" -d '' -n "$1" text 2>&- || status=$?
  STDIN_SEGMENTS[last]+=$text
  ((STDIN_COUNT += ${#text}, 1))
  if ((status > 128)); then
    return 1
  elif ((status > 0)); then
    STDIN_ENDED=1
  elif ((${#text} < $1)); then # read stopped at a NUL
    STDIN_SEGMENTS+=('')
    ((STDIN_COUNT += 1))
  fi
}

# Sends all of stdin and then `end`. A refusal on the way ends the upload: OUTCOME is set then.
stdin_upload() {
  local total=$STDIN_COUNT
  ((STDIN_COUNT == 0)) || stdin_queue "$STDIN_COUNT"
  [[ -n $STDIN_ENDED ]] || stdin_stream total || return
  [[ -z $OUTCOME ]] || return 0
  READING=1 # from here on the run may start, and a signal has to cancel it
  frame_send "$OPCODE_TEXT" "{\"type\":\"end\",\"stdin\":$total}"
}

# stdin_queue SIZE: the header of a binary message of SIZE bytes, and what STDIN_SEGMENTS holds; the caller sends the rest.
stdin_queue() {
  local header at last=$((${#STDIN_SEGMENTS[@]} - 1))
  frame_header header "$OPCODE_BINARY" "$1"
  wire_queue "$header"
  for ((at = 0; at < last; at++)); do wire_queue '%s\0' "${STDIN_SEGMENTS[at]}"; done
  wire_queue %s "${STDIN_SEGMENTS[last]}"
}

# --- session: the request ---------------------------------------------------------------------------------------------

# Sets TOKEN, START_MESSAGE and what the stub accepts.
session_compose() {
  local what args='' argument json environment version timeout=''
  ACCEPT_FRAME=$BASH_FRAME ACCEPT_BULK=0
  ! copy_possible || ACCEPT_FRAME=$BULK_FRAME ACCEPT_BULK=$BULK_FROM
  crypto_random TOKEN
  bytes_json what "${SCRIPT:-$EVENT}"
  [[ -n $SCRIPT ]] && what="\"script\":$what" || what="\"event\":$what"
  for argument in "${SCRIPT_ARGS[@]}"; do
    bytes_json json "$argument"
    args+=,$json
  done
  session_environment environment
  bytes_json version "$BASH_VERSION"
  [[ -z $TIMEOUT ]] || timeout=",\"timeout\":$TIMEOUT"
  START_MESSAGE="{\"type\":\"start\",\"token\":\"$TOKEN\",$what,\"args\":[${args#,}],\"env\":{$environment},\"host\":\"$HOST\"$timeout"
  START_MESSAGE+=",\"accept\":{\"frame\":$ACCEPT_FRAME,\"bulk\":$ACCEPT_BULK},\"stub\":\"$STUB_VERSION\",\"bash\":$version}"
  ((${#START_MESSAGE} <= MESSAGE_LIMIT)) || die 64 'the arguments and variables are longer than 1 MiB together; pass them on stdin'
}

# session_environment VARIABLE: the members of the JSON object of all variables that ENV_NAMES lets through.
session_environment() {
  local name pattern json members=''
  local -a names
  for pattern in $ENV_NAMES; do
    [[ $pattern =~ ^[A-Za-z_][A-Za-z0-9_]*\*?$ ]] || die 78 "the setting BAKED_ENV has \"$pattern\", which is neither a name nor a beginning with *"
    names=("$pattern")
    [[ $pattern != *\* ]] || eval "names=(\"\${!${pattern%\*}@}\")"
    for name in "${names[@]}"; do
      [[ -v $name && ${!name@a} == *x* ]] || continue
      bytes_json json "${!name}"
      members+=",\"$name\":$json"
    done
  done
  printf -v "$1" %s "${members#,}"
}

# Succeeds if it is worth trying: the pipe needs /dev/fd, and busybox's dd is known not to count.
copy_possible() {
  [[ -d /dev/fd ]] && hash dd 2>&- || return
  ! hash busybox 2>&- || [[ ! ${BASH_CMDS[dd]} -ef ${BASH_CMDS[busybox]} ]]
}

# Sends the request.
session_ask() {
  ASKED=1
  frame_queue "$OPCODE_TEXT" "$START_MESSAGE"
  stdin_upload && wire_hush && REQUEST_SENT=1
}

[[ ${BASH_SOURCE[0]:-$0} != "$0" ]] || main_ask

# --- why a connection failed ------------------------------------------------------------------------------------------

# wire_connect URL: opens the connection and the WebSocket on it, as far as that was not done; both sides are proven when it
# succeeds.
wire_connect() {
  [[ $BEGUN == "$1" ]] || wire_begin "$1" || :
  BEGUN=''
  wire_request || :
  http_upgrade || :
  [[ -z $WIRE_READY ]] || return 0
  [[ $WIRE_STAGE != answered || -n $ANSWER_STATUS || -z $WIRE_ENDED ]] || wire_explain
  wire_close
  return 1
}

# Leaves the reason why the connection ended before an answer came, where another program knows it.
wire_explain() {
  case $WIRE_KIND in
    openssl) tls_explain ;;
    curl) curl_explain ;;
  esac
}

# Becomes s_client that tells what happens, where else the connection would be.
tls_aloud() {
  tls_client -state 2>&1
}

# Leaves the reason why openssl ended before an answer came. It lets openssl try again and reads what it says.
tls_explain() {
  local line said='' limit=$((SECONDS + CONNECT_TIMEOUT + 1))
  wire_close
  wire_start tls_aloud || return
  wire_mute
  while ((SECONDS < limit)) && IFS= read -r -t "$CONNECT_TIMEOUT" -u "$WIRE_IN" line; do
    case $line in
      *alert*[Cc]'ertificate required'* | *alert*'bad certificate'* | *alert*[Uu]'nknown '[Cc][Aa]* | *alert*'certificate '[eru]*) said=client && break ;;
      'verify error:'*) said="verify:${line#*:*:}" && break ;;
      *connect:errno=111* | *'onnection refused'*) said='connection refused' ;;
      *connect:errno=113* | *'o route to host'*) said='no route to host' ;;
      *connect:errno=101* | *'etwork is unreachable'*) said='network is unreachable' ;;
      *connect:errno=110* | *'onnection timed out'*) said='connection timed out' ;;
      *'ervice not known'* | *'name resolution'* | *'ddress associated'*) said='name not found' ;;
      *'HTTP CONNECT failed'*) said="the proxy does not let it through (${line##*[:=]})" ;;
      *'unknown option'* | *'nknown option'* | *'Invalid value'*) said='options' ;;
      *'x509 certificate routines'* | *'ould not '*file*) said='certificate' ;;
      *':error:'*) [[ -n $said ]] || said="handshake:${line#*:error:*:*:*:}" ;;
    esac
  done
  wire_close
  tls_problem "$said"
}

# tls_problem SAID: leaves the problem that tls_explain found, unless it found none.
tls_problem() {
  local at="$URL_HOST:$URL_PORT${PROXY:+ by the proxy $PROXY}" said
  case $1 in
    verify:*expired*) fail 77 "the certificate of $at does not verify: ${1#*:}; renew it on the agent's host and make a new stub, or correct the clock of this pod" ;;
    verify:*) fail 77 "the certificate of $at does not verify: ${1#*:}; check the host name in the URL and the certificate in MEDIATOR_CA or the stub" ;;
    certificate) fail 78 'openssl cannot read a certificate or its key; check the settings MEDIATOR_CA, MEDIATOR_CERT and MEDIATOR_CERT_KEY, or make a new stub' ;;
    client) tls_unwanted "$at" ;;
    handshake:*) said=${1#*:} && fail 69 "TLS handshake with $at failed: ${said%%:*}; check that this port speaks TLS 1.2 or newer" ;;
    options) fail 78 'this openssl is too old; the stub needs 1.1.0 or newer, and 3.0 for a proxy with a password' ;;
    'name not found') name_unknown ;;
    ?*) fail 69 "cannot connect to $at: $1; check that the agent is up and that address and port are right" ;;
    *) fail 69 "$at closed the connection before it answered; check that an agent listens there" ;;
  esac
}

# tls_unwanted AGENT: the problem that the agent asks for a client certificate.
tls_unwanted() {
  if [[ -n $CERT_FILE ]]; then
    fail 77 "$1 does not accept the client certificate $CERT_FILE; set MEDIATOR_CERT to one that tls.clients in agent.yaml trusts"
  else
    fail 77 "$1 demands a client certificate; set MEDIATOR_CERT and MEDIATOR_CERT_KEY to files with one and its key"
  fi
}

# Leaves the reason why curl ended before an answer came. Its exit code tells most; where its words are needed, it tries
# again, without a proof, and is listened to.
curl_explain() {
  local status=0 said at="$URL_HOST:$URL_PORT${PROXY:+ by the proxy $PROXY}"
  wait "$WIRE_PID" 2>&- || status=$?
  WIRE_PID=''
  wire_close
  case $status in
    5 | 6) name_unknown || return ;;
    7) fail 69 "cannot connect to $at: connection refused, or no route; check that the agent is up and that address and port are right" || return ;;
    28) fail 69 "no answer from $at within $CONNECT_TIMEOUT s; check address, port and firewall" || return ;;
  esac
  AUTHORIZATION=''
  said=$(curl_client --max-time "$CONNECT_TIMEOUT" 2>&1)
  [[ $said =~ curl:\ \([0-9]+\)\ ([^$'\n']+) ]]
  curl_problem "$status" "${BASH_REMATCH[1]:-exit code $status}"
}

# curl_problem STATUS SAID: leaves the problem that a status of curl stands for.
curl_problem() {
  local at="$URL_HOST:$URL_PORT${PROXY:+ by the proxy $PROXY}"
  [[ $2 != *alert*certificate* && $2 != *alert*unknown\ ca* ]] || tls_unwanted "$at" || return
  case $1 in
    51 | 60 | 83 | 90 | 91) tls_problem "verify:${2#*: }" ;;
    1) fail 78 "what answers at $at is not an agent: $2; check address and port" ;;
    2 | 4 | 48) fail 78 "this curl is too old; the stub needs 7.55 or newer: $2" ;;
    58 | 77) fail 78 "curl cannot read a certificate or its key: $2; check the settings MEDIATOR_CA, MEDIATOR_CERT and MEDIATOR_CERT_KEY, or make a new stub" ;;
    35 | 59) fail 69 "TLS handshake with $at failed: $2; check that this port speaks TLS 1.2 or newer" ;;
    52 | 55) tls_problem '' ;;
    *) fail 69 "cannot connect to $at: $2; check that the agent is up and that address and port are right" ;;
  esac
}

# --- wire: what is read -----------------------------------------------------------------------------------------------

# wire_octets COUNT: reads so many bytes, whatever they are, into the array of numbers OCTETS.
wire_octets() {
  local text at code
  OCTETS=()
  while ((${#OCTETS[@]} < $1)); do
    IFS= read -r -t "$SILENCE" -d '' -n $(($1 - ${#OCTETS[@]})) -u "$WIRE_IN" text 2>&- || wire_failed $? || return
    for ((at = 0; at < ${#text}; at++)); do
      printf -v code %d "'${text:at:1}"
      OCTETS+=($((code & 255)))
    done
    ((${#OCTETS[@]} == $1)) || OCTETS+=(0) # read stopped at a NUL
  done
}

# wire_short SIZE: reads so many bytes into TEXT; fewer are in there if one of them is a NUL.
wire_short() {
  TEXT=''
  (($1 == 0)) || IFS= read -r -t "$SILENCE" -d '' -n "$1" -u "$WIRE_IN" TEXT 2>&- || wire_failed $?
}

# wire_text SIZE: reads so many bytes, none of them NUL, into TEXT.
wire_text() {
  local status=0
  if (($1 <= WATCHED_FROM)); then
    wire_short "$1" || return
    ((${#TEXT} == $1)) || session_malformed 'has a NUL byte where none may be'
    return
  fi
  timer_arm $((SILENCE + $1 / SLOWEST))
  IFS= read -r -N "$1" -u "$WIRE_IN" TEXT 2>&- || status=$?
  timer_disarm
  ((status == 0 && ${#TEXT} == $1)) || wire_failed 1
}

# wire_failed STATUS: what a failed read means.
wire_failed() {
  if (($1 > 128)); then
    wire_lost "nothing came from the agent for $SILENCE s"
  else
    wire_lost 'the connection was cut'
  fi
}

# Succeeds if there is something to read.
wire_pending() {
  [[ -n $WIRE_IN ]] && read -r -t 0 -u "$WIRE_IN"
}

# Closes the connection after the last frame was written: openssl and curl need a moment to pass it on. The agent's own close
# frame says that it arrived.
wire_finish() {
  local limit=$((SECONDS + 2)) first=''
  wire_hush
  if [[ -n $WIRE_PID ]]; then
    while [[ $first != $'\x88' ]] && ((SECONDS < limit)) && IFS= read -r -t 0.5 -n 1 -u "$WIRE_IN" first; do :; done
  fi
  wire_close
}

# --- frames: what is read ---------------------------------------------------------------------------------------------

# Reads the next header into FRAME_FINAL, FRAME_OPCODE and FRAME_SIZE. Fails when the connection is lost.
frame_next() {
  local first size octet
  wire_octets 2 || return
  first=${OCTETS[0]} size=${OCTETS[1]}
  ((first & 0x70)) && session_malformed 'has reserved bits set'
  ((size & 0x80)) && session_malformed 'is masked'
  FRAME_FINAL=$((first >> 7)) FRAME_OPCODE=$((first & 15)) FRAME_SIZE=$size
  if ((size >= 126)); then
    wire_octets $((size == 126 ? 2 : 8)) || return
    FRAME_SIZE=0
    for octet in "${OCTETS[@]}"; do ((FRAME_SIZE = FRAME_SIZE << 8 | octet)); done
  fi
  frame_check
}

# Ends the stub if the header is one that no agent sends.
frame_check() {
  case $FRAME_OPCODE in
    "$OPCODE_BINARY") [[ -z $MESSAGE_OPEN ]] || session_malformed 'starts a message inside of another' ;;
    "$OPCODE_CONTINUATION") [[ -n $MESSAGE_OPEN ]] || session_malformed 'continues a message that never began' ;;
    "$OPCODE_CLOSE" | "$OPCODE_PING" | "$OPCODE_PONG")
      ((FRAME_FINAL && FRAME_SIZE <= 125)) || session_malformed 'is a control frame that is fragmented or too long'
      ;;
    *) session_malformed "has the opcode $FRAME_OPCODE" ;;
  esac
  ((FRAME_SIZE >= 0 && FRAME_SIZE <= ACCEPT_FRAME)) || session_malformed "announces $FRAME_SIZE bytes"
}

# Deals with a ping, pong or close. Fails on a close: the connection is lost.
frame_control() {
  wire_octets "$FRAME_SIZE" || return
  case $FRAME_OPCODE in
    "$OPCODE_PING") frame_pong ;;
    "$OPCODE_CLOSE") wire_lost 'the agent closed the connection' ;;
  esac
}

# Answers a ping with its own payload, which stands in OCTETS.
frame_pong() {
  local header payload=''
  [[ -n $WIRE_OUT ]] || return 0 # over POST, the agent knows that it gets none
  frame_header header "$OPCODE_PONG" "${#OCTETS[@]}"
  ((${#OCTETS[@]} == 0)) || printf -v payload '\\x%02x' "${OCTETS[@]}"
  wire_queue "$header$payload"
  wire_flush
}

# --- copying: dd moves long payloads ----------------------------------------------------------------------------------
# dd with count=1 reads no more than one block, so never anything that belongs to the next frame, and reports what it
# did. The reports come through a pipe that this process holds at both ends.

# copy_block IN OUT SIZE: moves SIZE bytes between descriptors. Sets COPIED to the bytes written (-1: not known); fails if
# they are fewer. Who reads the script's output may take any time, and so may stdin; the agent may not.
copy_block() {
  COPIED=0
  LC_ALL=C dd bs="$3" count=1 iflag=fullblock <&"$1" >&"$2" 2>&"$COPY_REPORT" &
  COPY_PID=$!
  until copy_report $((SILENCE + $3 / SLOWEST)); do
    [[ $1 != 0 ]] || continue
    kill -USR1 "$COPY_PID" 2>&- # dd reports at once, and goes on
    copy_report 5 || break
    [[ $COPY_IN:$COPY_OUT == 1+0:0+0 ]] || break # else it waits for who reads
  done
  copy_finish "$3"
}

# copy_report SECONDS: reads the next report into COPY_IN and COPY_OUT, or fails.
copy_report() {
  local line
  COPY_IN=0+0 COPY_OUT=0+0
  while IFS= read -r -t "$1" -u "$COPY_REPORT" line; do
    case $line in
      *' records in') COPY_IN=${line% records in} ;;
      *' records out')
        COPY_OUT=${line% records out}
        return
        ;;
    esac
  done
  return 1
}

# copy_finish SIZE: sets COPIED from the last report.
copy_finish() {
  local line
  if [[ $COPY_IN:$COPY_OUT == 1+0:1+0 ]]; then
    COPIED=$1
  elif [[ $COPY_IN:$COPY_OUT == 0+0:0+0 ]]; then
    kill -KILL "$COPY_PID" 2>&-
  elif IFS= read -r -t 5 -u "$COPY_REPORT" line && [[ $line =~ ^([0-9]+)' byte' ]]; then
    COPIED=${BASH_REMATCH[1]}
  else
    COPIED=-1
  fi
  wait "$COPY_PID" 2>&-
  COPY_PID=''
  ((COPIED == $1))
}

# Succeeds if dd can move blocks and says how much of a part of one it moved.
copy_ready() {
  [[ $COPY_KIND != untried ]] || copy_try
  [[ $COPY_KIND == exact ]]
}

# Sets COPY_KIND by trying dd on nothing. Some do not know fullblock; some do not say how many bytes a part of a block had, so
# that after a cut nobody could tell what was printed.
copy_try() {
  local report
  COPY_KIND=none
  copy_possible || return 0
  report=$(LC_ALL=C dd bs=1 count=0 iflag=fullblock 2>&1)
  case $report in
    *'0+0 records in'*'0+0 records out'*' bytes '*) COPY_KIND=exact ;;
    *) return 0 ;;
  esac
  exec {COPY_REPORT}<> <(:)
}

# --- output of the script ---------------------------------------------------------------------------------------------

# out_text o|e: prints TEXT, a part of the script's stdout or stderr. Where nobody reads stdout any more, nobody wants the run.
# Each expansion of a long text costs bash as much as half of reading it, so there is one.
out_text() {
  if [[ $1 == o ]]; then
    printf %s "$TEXT" 2>&- || session_unwanted
  else
    printf %s "$TEXT" >&2 2>&- || :
  fi
  out_count "$1" "${#TEXT}"
}

# out_zeros o|e COUNT: so many NUL bytes. Escapes in a format are the only way to print them.
out_zeros() {
  local left=$2 part
  bytes_zeros
  while ((left > 0)); do
    part=$((left < 1024 ? left : 1024))
    if [[ $1 == o ]]; then
      # shellcheck disable=SC2059
      printf "${ZEROS:0:2*part}" 2>&- || session_unwanted
    else
      # shellcheck disable=SC2059
      printf "${ZEROS:0:2*part}" >&2 2>&- || :
    fi
    ((left -= part))
  done
  out_count "$1" "$2"
}

# Sets ZEROS.
bytes_zeros() {
  [[ -z $ZEROS ]] || return 0
  printf -v ZEROS '%1024s' ''
  ZEROS=${ZEROS// /'\0'}
}

# out_bulk o|e SIZE: a payload straight from the connection to the script's output, by dd.
out_bulk() {
  local descriptor=1
  [[ $1 == o ]] || descriptor=2
  if copy_block "$WIRE_IN" "$descriptor" "$2"; then
    out_count "$1" "$2"
  elif ((COPIED < 0)); then
    die 125 'the output is not complete: dd failed on the way'
  elif [[ $COPY_IN == 1+0 ]]; then # all of it came, and could not be written
    [[ $1 != o ]] || session_unwanted
    out_count "$1" "$2"
  else
    out_count "$1" "$COPIED"
    wire_failed 1
  fi
}

# out_count o|e BYTES: they were printed.
out_count() {
  if [[ $1 == o ]]; then
    ((PRINTED_STDOUT += $2, 1))
  else
    ((PRINTED_STDERR += $2, 1))
  fi
}

# --- stdin beyond its first bytes -------------------------------------------------------------------------------------

# stdin_stream TOTAL: the rest of stdin. Adds to the variable TOTAL.
stdin_stream() {
  STDIN_STREAMED=1
  wire_flush || return
  if copy_ready; then
    stdin_blocks "$1"
  else
    stdin_bytes "$1"
  fi
}

# stdin_next MOST: replaces STDIN_SEGMENTS by up to MOST further bytes, at least one. Fails at the end of stdin, and when
# the agent refuses meanwhile (OUTCOME) or is gone (PROBLEM_CODE).
stdin_next() {
  STDIN_SEGMENTS=('') STDIN_COUNT=0 PROBLEM_CODE=0
  while ((STDIN_COUNT < $1)) && [[ -z $STDIN_ENDED ]]; do
    stdin_read $(($1 - STDIN_COUNT)) "$STDIN_PULSE" && continue
    ((STDIN_COUNT == 0)) || return 0
    frame_send "$OPCODE_BINARY" '' && stdin_heard || return
  done
  ((STDIN_COUNT > 0))
}

# stdin_blocks TOTAL: stdin by dd, in blocks of a size that is announced before anybody knows whether so much will come.
# The last one is filled up with NULs; `end` says how much of it counts. Adds to the variable TOTAL.
stdin_blocks() {
  local size=$STDIN_BLOCK
  while stdin_next 1; do
    stdin_queue "$size"
    wire_flush || return
    copy_block 0 "$WIRE_OUT" $((size - 1)) || ((COPIED >= 0)) || wire_lost 'stdin could not be passed on' || return
    printf -v "$1" %d $((${!1} + 1 + COPIED))
    stdin_fill $((size - 1 - COPIED)) && stdin_heard || return
    ((size == MESSAGE_LIMIT)) || ((size *= 2))
  done
  ((PROBLEM_CODE == 0))
}

# stdin_bytes TOTAL: the same by bash alone, 0.8 MB/s.
stdin_bytes() {
  while stdin_next "$STDIN_BLOCK"; do
    stdin_queue "$STDIN_COUNT"
    wire_flush && stdin_heard || return
    printf -v "$1" %d $((${!1} + STDIN_COUNT))
  done
  ((PROBLEM_CODE == 0))
}

# stdin_fill COUNT: so many NUL bytes to the agent.
stdin_fill() {
  local left=$1 part
  bytes_zeros
  while ((left > 0)); do
    part=$((left < 1024 ? left : 1024))
    wire_queue "${ZEROS:0:2*part}"
    wire_flush || return
    ((left -= part))
  done
  return 0
}

# Reads what the agent says during the upload: ticks, or a refusal. Fails on a refusal and when the connection is lost.
stdin_heard() {
  while wire_pending; do
    session_next || return
    [[ -z $OUTCOME ]] || return
  done
}

# --- session: one invocation, over as many connections as it takes ----------------------------------------------------

# Runs SCRIPT with SCRIPT_ARGS, or what EVENT sets off; returns when there is a terminal record.
session_run() {
  [[ -n $START_MESSAGE ]] || session_compose
  session_connect
  until session_converse; do session_reconnect; done
  session_acknowledge
}

# Connects to the first agent that takes the call; dies if none does. Only absence and overload lead on to the next.
session_connect() {
  local url
  for url in "${URLS[@]}"; do
    wire_connect "$url" && URLS=("$url") && return
    ((PROBLEM_CODE == 69 || PROBLEM_CODE == 75)) || break
  done
  die "$PROBLEM_CODE" "$PROBLEM"
}

# Sends the request, or what is needed to go on with it, and reads until the terminal record. Fails when the connection
# is lost. An agent that refuses may close before it read everything, so a failed upload is followed by reading, too.
session_converse() {
  MESSAGE_OPEN='' MESSAGE_TYPE='' MESSAGE_TEXT='' MESSAGE_SIZE=0 ACCEPTED=''
  if [[ -n $ASKED ]]; then
    ASKED='' # by main_ask, or by what failed here and is done again
  elif [[ -n $RUN_ID || (-n $REQUEST_SENT && -n $STDIN_STREAMED) ]]; then
    READING=1
    session_resume && wire_hush
  else
    session_ask
    ASKED=''
  fi
  while [[ -z $OUTCOME ]]; do session_next || return; done
  session_believe
}

# Fails if the refusal that came is worth another attempt. After a loss, it is no answer to the call, which may have been
# taken before, but to the attempt to find it again: the front is up, for instance, and the runner is not yet.
session_believe() {
  [[ $OUTCOME == refused && -z $ACCEPTED && -n $RECONNECTED ]] || return 0
  fail "$OUTCOME_CODE" "$OUTCOME_TEXT" || :
  if ((OUTCOME_CODE == 75)); then
    OUTCOME=''
    return 1
  fi
  [[ -z $RUN_ID ]] || session_abandon
}

session_resume() {
  frame_send "$OPCODE_TEXT" "{\"type\":\"resume\",\"token\":\"$TOKEN\",\"stdout\":$PRINTED_STDOUT,\"stderr\":$PRINTED_STDERR,\"accept\":{\"frame\":$ACCEPT_FRAME,\"bulk\":$ACCEPT_BULK}}"
}

# Connects again after a loss, with growing pauses, to the agent that has the run; dies when that is in vain.
session_reconnect() {
  wire_close
  READING=''
  [[ -n $RUN_ID || -n $REQUEST_SENT || -z $STDIN_STREAMED ]] ||
    die 69 "$PROBLEM while stdin was sent; nothing was started, call again"
  [[ -n $LOST_UNTIL ]] || LOST_UNTIL=$((SECONDS + RESUME_WINDOW)) LOST_PAUSE=1
  while ((SECONDS < LOST_UNTIL)); do
    timer_sleep "$((LOST_PAUSE / 10)).$((LOST_PAUSE % 10))"
    ((LOST_PAUSE >= 40)) || ((LOST_PAUSE *= 2))
    wire_connect "${URLS[0]}" && RECONNECTED=1 && return
    ((PROBLEM_CODE == 69 || PROBLEM_CODE == 75)) || break
  done
  session_abandon
}

# The end after a connection that was not found again.
session_abandon() {
  if [[ -n $RUN_ID ]]; then
    die 125 "the connection was lost and not found again, so the outcome is not known: $PROBLEM; \"mediator-agent runs show $RUN_ID\" knows"
  elif [[ -n $REQUEST_SENT ]]; then
    die 125 "the connection was lost before the agent said whether it took the call: $PROBLEM; look at \"mediator-agent runs list\" before you call again"
  else
    die 69 "$PROBLEM; nothing was started, call again"
  fi
}

# session_malformed WHAT: the end after a frame that no agent sends. The rest of the stream has no meaning.
session_malformed() {
  local code=69
  [[ -z $RUN_ID ]] || code=125
  die "$code" "a frame from $URL_HOST:$URL_PORT $1: something between stub and agent changes the stream, or they do not fit together"
}

# Reads the next frame and does what it says. Fails when the connection is lost.
session_next() {
  frame_next || return
  if ((FRAME_OPCODE >= OPCODE_CLOSE)); then
    frame_control
    return
  fi
  ((MESSAGE_SIZE += FRAME_SIZE))
  ((MESSAGE_SIZE <= ACCEPT_FRAME)) || session_malformed "makes a message of $MESSAGE_SIZE bytes"
  if [[ -z $MESSAGE_OPEN ]] && ((FRAME_FINAL && FRAME_SIZE <= WATCHED_FROM)); then
    session_short || return
  else
    session_long || return
  fi
  MESSAGE_OPEN=1
  ((FRAME_FINAL == 0)) || MESSAGE_OPEN='' MESSAGE_TYPE='' MESSAGE_TEXT='' MESSAGE_SIZE=0
}

# A whole short message, read at once.
session_short() {
  wire_text "$FRAME_SIZE" || return
  MESSAGE_TYPE=${TEXT:0:1} MESSAGE_TEXT=${TEXT:1}
  case $MESSAGE_TYPE in
    o | e) session_printable && TEXT=$MESSAGE_TEXT && out_text "$MESSAGE_TYPE" ;;
    *) session_message ;;
  esac
}

# A long message, or a fragment. Output is printed as it comes, everything else is collected.
session_long() {
  local rest=$FRAME_SIZE
  if [[ -z $MESSAGE_TYPE ]] && ((rest > 0)); then
    wire_text 1 || return
    MESSAGE_TYPE=$TEXT
    ((rest -= 1))
  fi
  case $MESSAGE_TYPE in
    o | e) session_output "$rest" ;;
    *)
      ((MESSAGE_SIZE <= TEXT_LIMIT)) || session_malformed "makes a message of type \"${MESSAGE_TYPE//[^a-z]/?}\" of $MESSAGE_SIZE bytes"
      wire_text "$rest" || return
      MESSAGE_TEXT+=$TEXT
      ((FRAME_FINAL == 0)) || session_message
      ;;
  esac
}

# session_output SIZE: prints that much of a message of type o or e. NULs are only in messages of ACCEPT_BULK bytes or
# more; of a fragment one cannot tell what its message will be.
session_output() {
  session_printable
  if ((ACCEPT_BULK == 0)) || [[ -z $MESSAGE_OPEN && $FRAME_FINAL == 1 && $FRAME_SIZE -lt $ACCEPT_BULK ]]; then
    session_text "$1"
  elif (($1 >= BULK_FROM)) && copy_ready; then
    out_bulk "$MESSAGE_TYPE" "$1"
  else
    session_trickle "$1"
  fi
}

# session_text SIZE: prints that much of a payload without NUL. bash's stdout is line-buffered: whole blocks go out at once,
# but what exceeds them is written line by line unless it is a call of its own.
session_text() {
  local rest=$(($1 % STDIO_BLOCK))
  (($1 == rest)) || { wire_text $(($1 - rest)) && out_text "$MESSAGE_TYPE"; } || return
  ((rest == 0)) || { wire_text "$rest" && out_text "$MESSAGE_TYPE"; }
}

# session_trickle SIZE: prints that much of a payload which may hold NULs, with bash alone, 0.8 MB/s.
session_trickle() {
  local left=$1 part
  while ((left > 0)); do
    part=$((left < WATCHED_FROM ? left : WATCHED_FROM))
    wire_short "$part" || return
    out_text "$MESSAGE_TYPE"
    ((left -= ${#TEXT}))
    ((${#TEXT} == part)) || { out_zeros "$MESSAGE_TYPE" 1 && ((left -= 1)); }
  done
  return 0
}

# Ends the stub if output comes before the run was accepted. Notes that the connection is worth something again.
session_printable() {
  [[ -n $ACCEPTED ]] || session_malformed 'is output of a run that was not accepted'
  LOST_UNTIL=''
}

# Does what the message in MESSAGE_TYPE and MESSAGE_TEXT says.
session_message() {
  case $MESSAGE_TYPE in
    a) session_accepted ;;
    z) session_zeros ;;
    n) out_line "$MESSAGE_TEXT" ;;
    t) LOST_UNTIL='' ;;
    x) session_terminal ;;
    *) session_malformed 'has an unknown message type' ;;
  esac
}

session_accepted() {
  { bytes_within "$MESSAGE_TEXT" 0-9A-HJKMNP-TV-Z 26 26 && [[ -z $ACCEPTED && ${RUN_ID:-$MESSAGE_TEXT} == "$MESSAGE_TEXT" ]]; } ||
    session_malformed 'names a run out of order'
  RUN_ID=$MESSAGE_TEXT ACCEPTED=1
}

session_zeros() {
  [[ $MESSAGE_TEXT == [oe][1-9]* && ${MESSAGE_TEXT:1} != *[!0-9]* && ${#MESSAGE_TEXT} -le 8 && ${MESSAGE_TEXT:1} -le $MESSAGE_LIMIT ]] || session_malformed 'has a malformed run of NUL bytes'
  session_printable
  out_zeros "${MESSAGE_TEXT:0:1}" "${MESSAGE_TEXT:1}"
}

# Sets OUTCOME*: section 3.
session_terminal() {
  local form=$'^(exited|signaled|timed-out|cancelled|refused|lost) ([0-9]+) ([0-9]+) ([0-9]+)( ([^\n]*))?$'
  [[ $MESSAGE_TEXT =~ $form && ${#BASH_REMATCH[2]} -le 3 && ${#BASH_REMATCH[3]} -le 15 && ${#BASH_REMATCH[4]} -le 15 &&
    $((10#${BASH_REMATCH[2]})) -le 255 ]] || session_malformed 'has a malformed terminal record'
  [[ -n $ACCEPTED || ${BASH_REMATCH[1]} == refused ]] || session_malformed 'ends a run that was not accepted'
  OUTCOME=${BASH_REMATCH[1]} OUTCOME_CODE=$((10#${BASH_REMATCH[2]})) OUTCOME_TEXT=${BASH_REMATCH[6]}
  OUTCOME_STDOUT=$((10#${BASH_REMATCH[3]})) OUTCOME_STDERR=$((10#${BASH_REMATCH[4]}))
}

# Tells the agent that its record arrived.
session_acknowledge() {
  READING=''
  [[ -n $WIRE_OUT ]] || return 0
  frame_queue "$OPCODE_TEXT" '{"type":"ack"}'
  frame_send "$OPCODE_CLOSE" $'\x03\xe8'
  wire_finish
}

# Tells the agent that nobody wants the run any more; over a connection of its own where this one is closed on our side.
session_cancel() {
  [[ -n $READING ]] || return 0
  READING=''
  [[ -n $WIRE_OUT ]] || session_recall || return 0
  frame_queue "$OPCODE_TEXT" '{"type":"cancel"}'
  frame_send "$OPCODE_CLOSE" $'\x03\xe8'
  wire_finish
}

# Connects once more, to the run that is going on.
session_recall() {
  wire_close
  CONNECT_TIMEOUT=1
  wire_connect "${URLS[0]}" && session_resume
}

# The end because stdout cannot be written: as a script would be ended by SIGPIPE.
session_unwanted() {
  session_cancel
  out_line 'stdout was closed, so the run was cancelled'
  exit 141
}

# session_exit: ends the stub as the terminal record says. Success needs a proof: exited, and totals that agree.
session_exit() {
  local totals="$OUTCOME_STDOUT and $OUTCOME_STDERR" printed="$PRINTED_STDOUT and $PRINTED_STDERR"
  [[ $OUTCOME != refused ]] || die $((OUTCOME_CODE == 0 ? 125 : OUTCOME_CODE)) "${OUTCOME_TEXT:-the agent refused the call}"
  [[ $totals == "$printed" ]] || die 125 "the output is not complete: $totals bytes on stdout and stderr were sent, $printed arrived; \"mediator-agent runs logs $RUN_ID\" has all of it"
  [[ $OUTCOME != lost ]] || die 125 "${OUTCOME_TEXT:-the agent went away while the script ran; how it ended is not known}"
  [[ $OUTCOME != exited ]] || exit "$OUTCOME_CODE"
  out_line "${OUTCOME_TEXT:-the run $RUN_ID ended as $OUTCOME with code $OUTCOME_CODE}"
  exit $((OUTCOME_CODE == 0 ? 125 : OUTCOME_CODE))
}

# --- doctor -----------------------------------------------------------------------------------------------------------

# Prints one line for each thing that a call depends on, and ends with the exit code that a call would give.
doctor() {
  local url code=0 result settled=''
  ASKING='Mediator-Want: scripts' STDIN_LOADED=1 STDIN_ENDED=1
  doctor_ok "mediator $STUB_VERSION, bash $BASH_VERSION, key $KEY_ID, host $HOST"
  doctor_tools
  for url in "${URLS[@]}"; do
    result=0
    doctor_agent "$url" || result=$PROBLEM_CODE
    wire_close
    [[ -n $settled ]] || code=$result
    ((result == 69 || result == 75)) || settled=1 # a call goes on to the next agent after these two only
  done
  exit "$code"
}

doctor_ok() {
  out_printable "$1"
  printf 'ok    %s\n' "$PRINTABLE"
}

# doctor_fail URL: the problem that a function left. Returns 1.
doctor_fail() {
  out_printable "$PROBLEM"
  printf 'FAIL  %s: %s (exit code %s)\n' "$1" "$PRINTABLE" "$PROBLEM_CODE"
  return 1
}

# What the pod has, and what follows from it.
doctor_tools() {
  local tool found='tools: bash'
  for tool in openssl curl dd; do
    ! hash "$tool" 2>&- || found+=", ${BASH_CMDS[$tool]}"
  done
  doctor_ok "$found"
  if copy_ready; then
    doctor_ok 'dd moves long input and output'
  else
    doctor_ok 'no dd that fits: input goes through bash at 0.8 MB/s, output at 30 MB/s'
  fi
}

# doctor_agent URL: makes a connection as a call would, step by step.
doctor_agent() {
  { url_parse "$1" && wire_choose && proxy_find; } || doctor_fail "$1" || return
  doctor_ok "$1 goes by $WIRE_KIND: $(doctor_choice)${PROXY:+; through the proxy $PROXY}"
  doctor_reach "$1" || return
  doctor_certificate
  doctor_time
  wire_connect "$1" || doctor_fail "$1" || return
  doctor_ok "connected and proven on both sides in $(doctor_since) ms: the agent accepts the key $KEY_ID, and knows its secret"
  doctor_clock
  [[ -z $ANSWER_SCRIPTS ]] || doctor_ok "the key may call: $ANSWER_SCRIPTS"
  doctor_ping || doctor_fail "$1"
}

# Why this transport.
doctor_choice() {
  if [[ $WIRE_KIND == "$TRANSPORT" ]]; then
    printf 'the settings say so'
  elif [[ $WIRE_KIND == tcp ]]; then
    printf 'ws:// is plaintext'
  elif [[ $WIRE_KIND == openssl ]]; then
    printf 'openssl is here, and comes first'
  else
    printf 'curl is here, openssl is not'
  fi
}

# doctor_reach URL: name resolution and TCP, to the proxy if there is one; by bash, whatever the transport.
doctor_reach() {
  local target=${PROXY:-$URL_HOST:$URL_PORT} URL_HOST=$URL_HOST URL_PORT=$URL_PORT
  [[ -z $PROXY ]] || URL_HOST=${PROXY%:*} URL_PORT=${PROXY##*:}
  doctor_time
  tcp_open || doctor_fail "$1" || return
  doctor_ok "the name is known, and $target takes TCP connections, in $(doctor_since) ms"
  wire_close
}

# Says which certificate the peer has, if it verifies. What is wrong with it, the connection will say.
doctor_certificate() {
  local by='the store of this pod' said line subject='' until=''
  [[ $WIRE_KIND != tcp ]] || return 0
  [[ -z $BAKED_CA ]] || by='the certificate in this stub'
  [[ -z ${MEDIATOR_CA:-} ]] || by=$MEDIATOR_CA
  if [[ $WIRE_KIND == curl ]]; then
    AUTHORIZATION=''
    said=$(curl_client -v --max-time "$CONNECT_TIMEOUT" 2>&1)
    [[ $said == *'certificate verify ok'* ]] || return 0
  else
    said=$(printf '' | tls_aloud)
    [[ $said == *'Verify return code: 0 '* ]] || return 0
    said+=$'\n'$(printf '%s\n' "$said" | openssl x509 -noout -enddate 2>&-)
  fi
  while [[ -n $said ]]; do
    line=${said%%$'\n'*} said=${said#"$line"} said=${said#$'\n'} line=${line%$'\r'}
    case $line in
      subject=* | '*  subject: '*) subject=${line#*subject?} ;;
      notAfter=* | '*  expire date: '*) until=${line#*notAfter=} until=${until#*date: } ;;
    esac
  done
  [[ -z $subject ]] || doctor_ok "TLS: the certificate of ${subject# }${until:+, valid until $until}, verified against $by"
}

# Compares the clocks. The agent refuses what is more than 300 s off.
doctor_clock() {
  local theirs ours off
  doctor_epoch theirs "$ANSWER_DATE" || return 0
  printf -v ours '%(%s)T' -1
  off=$((theirs - ours))
  doctor_ok "the clocks are ${off#-} s apart$( ((${off#-} < 60)) || printf '; set them: beyond 300 s calls are refused')"
}

# doctor_epoch VARIABLE DATE: seconds since 1970 of a date as HTTP writes it.
doctor_epoch() {
  local months=JanFebMarAprMayJunJulAugSepOctNovDec month year days
  [[ $2 =~ ^[A-Z][a-z]{2},\ ([0-9]{2})\ ([A-Z][a-z]{2})\ ([0-9]{4})\ ([0-9]{2}):([0-9]{2}):([0-9]{2})\ GMT$ && $months == *"${BASH_REMATCH[2]}"* ]] || return
  months=${months%%"${BASH_REMATCH[2]}"*} month=$((${#months} / 3 + 1)) # years begin in March here, so that leap days end them
  year=$((10#${BASH_REMATCH[3]} - (month < 3))) month=$(((month + 9) % 12))
  days=$((365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + 10#${BASH_REMATCH[1]} - 719469))
  printf -v "$1" %d $((days * 86400 + 10#${BASH_REMATCH[4]} * 3600 + 10#${BASH_REMATCH[5]} * 60 + 10#${BASH_REMATCH[6]}))
}

# Measures one round trip.
doctor_ping() {
  ((SILENCE <= CONNECT_TIMEOUT)) || SILENCE=$CONNECT_TIMEOUT
  ACCEPT_FRAME=$BASH_FRAME FRAME_OPCODE=''
  doctor_time
  frame_send "$OPCODE_PING" '' || return
  until [[ $FRAME_OPCODE == "$OPCODE_PONG" ]]; do
    session_next || return
  done
  doctor_ok "round trip $(doctor_since) ms"
  wire_finish
}

# Starts a measurement that doctor_since prints in milliseconds, or in whole seconds where bash has no finer clock (4.4).
doctor_time() {
  STARTED=${EPOCHREALTIME:-${SECONDS}000000}
}

doctor_since() {
  local present=${EPOCHREALTIME:-${SECONDS}000000}
  printf %d $(((${present/[.,]/} - ${STARTED/[.,]/}) / 1000))
}

# --- main: the second half --------------------------------------------------------------------------------------------

# Does what an option asks for, or ends the call as its script ended.
main() {
  PARTIAL=''
  case $OPTION in
    version) main_print "mediator $STUB_VERSION ($SUBPROTOCOL, bash $BASH_VERSION)" ;;
    help) main_help ;;
    doctor) doctor ;;
  esac
  # shellcheck disable=SC2086 # NAME and NUMBER
  [[ -z $INTERRUPTED ]] || session_interrupted $INTERRUPTED
  session_run
  session_exit
}

# main_print TEXT: the answer to an option.
main_print() {
  printf '%s\n' "$1"
  exit 0
}

main_help() {
  main_print 'usage: mediator.sh SCRIPT [ARGUMENT]... <stdin
       mediator.sh --doctor | --version | --help

Runs SCRIPT on a mediator agent: stdin, the arguments and the variables that the settings name go there, its stdout, stderr
and exit code come back. Under another file name (close-ticket.sh) it calls the script of that name, every argument is the
script'"'"'s, and the options are spelled --mediator-doctor, --mediator-version and --mediator-help.

Settings are baked in by "mediator-agent stub"; these variables override them:
  MEDIATOR_URL              wss://HOST:PORT or ws://HOST:PORT; several, separated by spaces, are tried one by one
  MEDIATOR_ORDER            listed or random: the order in which they are tried
  MEDIATOR_KEY              ID:SECRET
  MEDIATOR_CA               file with the certificate, or the authority, to trust instead of the store of the pod
  MEDIATOR_CERT             file with a client certificate, where the agent demands one
  MEDIATOR_CERT_KEY         file with its key, if that is another file
  MEDIATOR_SCRIPT           the script; all arguments are then its own
  MEDIATOR_EVENT            an event instead of a script: the tasks of this trigger; SCW_EVENT: the one that SecureChange names
  MEDIATOR_HOST             generic, securechange or checkpoint
  MEDIATOR_TIMEOUT          seconds that the script may take
  MEDIATOR_TRANSPORT        auto, openssl, curl or tcp
  MEDIATOR_PLAINTEXT        1: ws:// may leave this machine
  MEDIATOR_CONNECT_TIMEOUT  seconds to wait for an agent (10)
  MEDIATOR_SILENCE          seconds without a sign of life after which a connection is lost (30)
  MEDIATOR_RESUME_WINDOW    seconds to look for a lost connection (60)

Exit codes: the script'"'"'s own; else 64 usage, 69 agent unreachable, 75 try later, 77 refused, 78 wrong settings, 124 timed
out, 125 outcome unknown or output incomplete, 126 may not run, 127 no such script, 128+N ended by signal N.'
}

[[ ${BASH_SOURCE[0]:-$0} != "$0" ]] || main
