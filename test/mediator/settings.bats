# Settings, names and options of the stub: each fault is named, with the exit code for it.

bats_require_minimum_version 1.5.0

setup() {
  load ../helpers/mediator-stub
  export MEDIATOR_URL=ws://127.0.0.1:1 MEDIATOR_KEY=a-key:a-secret-for-tests-0123456789abcdef
}

# ends CODE ARGUMENT...: the stub ends with CODE and one line.
ends() {
  run --separate-stderr bash "$STUB" "${@:2}" </dev/null
  echo "$status, not $1: $stderr"
  [ "$status" = "$1" ]
  [ "${#stderr_lines[@]}" = 1 ]
  [[ $stderr == 'mediator: '* ]]
}

# refuses NAME VALUE: the setting is refused by name.
refuses() {
  local -x "$1=$2"
  ends 78 a-script
  [[ $stderr == *"$1"* ]]
}

@test "no script is wrong usage" {
  ends 64
}

@test "an option that does not exist is wrong usage" {
  ends 64 --frobnicate
  ends 64 -x
}

@test "settings that are malformed are named" {
  local url
  for url in http://127.0.0.1 127.0.0.1:8443 ws:// ws://:80 ws://a:0 ws://a:65536 ws://a:x 'ws://a@b' 'wss://[::1' 'ws://a/ü'; do
    refuses MEDIATOR_URL "$url"
  done
  refuses MEDIATOR_KEY no-secret
  refuses MEDIATOR_KEY short:0123456789
  refuses MEDIATOR_KEY 'bad id:a-secret-for-tests-0123456789abcdef'
  refuses MEDIATOR_CA /does/not/exist
  refuses MEDIATOR_HOST elsewhere
  refuses MEDIATOR_TRANSPORT pigeon
  refuses MEDIATOR_TIMEOUT soon
  refuses MEDIATOR_TIMEOUT 0
  refuses MEDIATOR_TIMEOUT 86401
  refuses MEDIATOR_RESUME_WINDOW -1
  refuses MEDIATOR_PLAINTEXT yes
}

@test "settings that are missing are named" {
  local -x MEDIATOR_URL=
  ends 78 a-script
  [[ $stderr == *MEDIATOR_URL* ]]
  MEDIATOR_URL=ws://127.0.0.1:1 MEDIATOR_KEY=''
  ends 78 a-script
  [[ $stderr == *MEDIATOR_KEY* ]]
}

@test "plaintext to other machines is refused" {
  refuses MEDIATOR_PLAINTEXT no
  MEDIATOR_URL=ws://192.0.2.1:1
  ends 78 a-script
  [[ $stderr == *MEDIATOR_PLAINTEXT=1* ]]
  MEDIATOR_URL=ws://127.0.0.1.example.com:1
  ends 78 a-script
}

@test "wss without openssl and curl says what is needed" {
  MEDIATOR_URL=wss://127.0.0.1:1
  run --separate-stderr env PATH='' "$BASH" "$STUB" a-script </dev/null
  [ "$status" = 78 ]
  [[ $stderr == *openssl*curl* ]]
  MEDIATOR_TRANSPORT=curl run --separate-stderr env PATH='' "$BASH" "$STUB" a-script </dev/null
  [ "$status" = 78 ]
  [[ $stderr == *curl* ]]
}

@test "arguments over 1 MiB together are refused before anything is sent" {
  local long
  printf -v long '%120000s' ''
  ends 64 a-script "$long" "$long" "$long" "$long" "$long" "$long" "$long" "$long" "$long"
}

@test "the version and the help are printed" {
  run --separate-stderr bash "$STUB" --version
  [ "$status" = 0 ]
  [[ $output == 'mediator '*mediator.v1* ]]
  run --separate-stderr bash "$STUB" --help
  [ "$status" = 0 ]
  [[ $output == *MEDIATOR_URL* ]]
}

@test "a URL is taken apart" {
  stub_load
  parses() {
    call url_parse "$1"
    echo "$1: $URL_SCHEME $URL_HOST $URL_PORT $URL_PATH $AUDIENCE"
    [ "$URL_SCHEME $URL_HOST $URL_PORT $URL_PATH $AUDIENCE" = "$2" ]
  }
  parses wss://Agent.Example 'wss Agent.Example 443 /v1/run agent.example'
  parses ws://a 'ws a 80 /v1/run a'
  parses wss://a:8443/ 'wss a 8443 /v1/run a'
  parses wss://a:8443/sub/path 'wss a 8443 /sub/path a'
  parses 'ws://[::1]:81/v1/run' 'ws ::1 81 /v1/run ::1'
  parses 'ws://[FE80::1]' 'ws FE80::1 80 /v1/run fe80::1'
}

@test "the file name, a baked script, or the first argument names the script" {
  local folder=$BATS_TEST_TMPDIR
  sed 's/^  settings_load$/  printf "<%s>" "$SCRIPT" "${SCRIPT_ARGS[@]}" \&\& exit/' "$STUB" >"$folder/mediator.sh"
  ln -s mediator.sh "$folder/close-ticket.sh"
  cp "$folder/mediator.sh" "$folder/close-ticket"
  sed "s/^BAKED_SCRIPT=''/BAKED_SCRIPT='baked'/" "$folder/mediator.sh" >"$folder/other.sh"
  [ "$(bash "$folder/mediator.sh" a-script 'one two' '')" = '<a-script><one two><>' ]
  [ "$(bash "$folder/close-ticket.sh" 'one two' --doctor)" = '<close-ticket><one two><--doctor>' ]
  [ "$(bash "$folder/close-ticket" --help)" = '<close-ticket><--help>' ]
  [ "$(bash "$folder/other.sh" --version x)" = '<baked><--version><x>' ]
  [ "$(MEDIATOR_SCRIPT=set bash "$folder/mediator.sh" one)" = '<set><one>' ]
  [[ "$(bash "$folder/close-ticket.sh" --mediator-version)" == 'mediator '* ]]
  [[ "$(bash "$folder/other.sh" --mediator-help)" == 'usage: '* ]]
}

@test "Check Point gets the verdict that the settings want where there is no run" {
  local file=$BATS_TEST_TMPDIR/mediator.sh
  sed "s/^BAKED_FAIL=''/BAKED_FAIL='open'/" "$STUB" >"$file"
  run --separate-stderr bash "$file" a-script </dev/null
  [ "$status" = 0 ]
  [ "$output" = '{"result":"success"}' ]
  [[ $stderr == 'mediator: cannot connect'* ]]
  sed "s/^BAKED_FAIL=''/BAKED_FAIL='closed'/" "$STUB" >"$file"
  MEDIATOR_CA='/no/"such"' run --separate-stderr bash "$file" a-script </dev/null
  [ "$status" = 0 ]
  [[ $output == '{"result":"failure","message":"mediator: '*'/no/\"such\"'*'"}' ]]
}

# start_of VARIABLES ARGUMENTS...: prints what the start message would say. VARIABLES are assignments, split at blanks.
start_of() {
  # shellcheck disable=SC2086
  env $1 bash -c 'source "$1" && main_shell && main_words "${@:2}" && settings_load && session_compose && printf "%s\n" "$START_MESSAGE"' \
    mediator "$STUB" "${@:2}"
}

@test "an event takes the place of the script, and every argument" {
  [[ $(start_of MEDIATOR_EVENT=before-publish one --doctor) == *'","event":"before-publish","args":["one","--doctor"],'* ]]
  [[ $(start_of 'MEDIATOR_EVENT=SCW_EVENT SCW_EVENT=CLOSE' one) == *'","event":"CLOSE","args":["one"],"env":{"SCW_EVENT":"CLOSE"}'* ]]
  [[ $(start_of 'MEDIATOR_EVENT=e MEDIATOR_SCRIPT=s' one) == *'","script":"s","args":["one"]'* ]]
  sed "s/^BAKED_EVENT=''/BAKED_EVENT='baked'/" "$STUB" >"$BATS_TEST_TMPDIR/other.sh"
  STUB=$BATS_TEST_TMPDIR/other.sh
  [[ $(start_of MEDIATOR_HOST=checkpoint one) == *'","event":"baked","args":["one"],'* ]]
  [[ $(start_of MEDIATOR_SCRIPT=s one) == *'","script":"s","args":["one"],'* ]]
}

@test "an event that nobody names is wrong usage, one that cannot be a wrong setting" {
  local -x MEDIATOR_EVENT=SCW_EVENT
  unset SCW_EVENT
  ends 64
  MEDIATOR_EVENT=$'two\nlines'
  ends 78
}

@test "several agents are tried as listed, or at random" {
  local count
  refuses MEDIATOR_ORDER backwards
  stub_load
  BAKED_URL='ws://a ws://b ws://c'
  unset MEDIATOR_URL
  set -f
  call settings_urls
  [ "${URLS[*]}" = 'ws://a ws://b ws://c' ]
  BAKED_ORDER=random
  for ((count = 0; count < 200; count++)); do
    call settings_urls
    seen+=" ${URLS[*]};"
  done
  [ "$(printf %s "$seen" | tr ';' '\n' | sort -u | wc -l)" = 6 ]
}
