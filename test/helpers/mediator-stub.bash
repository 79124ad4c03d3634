# For the bats suites of the stub.
# shellcheck shell=bash disable=SC2034,SC1091 # the suites use these names

STUB=$BATS_TEST_DIRNAME/../../mediator/mediator.sh
PROTOCOL=$BATS_TEST_DIRNAME/../../protocol

# Loads the functions of the stub, as main would find them.
stub_load() {
  # shellcheck source=mediator/mediator.sh
  source "$STUB"
  LC_ALL=C
}

# call FUNCTION ARGUMENTS...: calls a function of the stub, which is written for a shell without errexit.
call() {
  "$@" || return
}

# peer_start [CERTIFICATE KEY]: starts peer.ts for the whole file. Its ports are the sign that it listens.
peer_start() {
  export PEER_DIR=$BATS_FILE_TMPDIR/peer
  mkdir "$PEER_DIR"
  mkfifo "$BATS_FILE_TMPDIR/port"
  node "$BATS_TEST_DIRNAME/peer.ts" "$PEER_DIR" "$@" >"$BATS_FILE_TMPDIR/port" 3>&- &
  PEER_PID=$!
  read -r PEER_PORT PEER_TLS_PORT <"$BATS_FILE_TMPDIR/port"
  export PEER_PID PEER_PORT PEER_TLS_PORT
}

peer_stop() {
  kill "$PEER_PID"
}

# peer_settings SCENARIO: points the stub to the peer.
peer_settings() {
  export MEDIATOR_URL=ws://127.0.0.1:$PEER_PORT MEDIATOR_KEY=$1:a-secret-for-tests-0123456789abcdef MEDIATOR_SCRIPT=a-script
}

# same FILE FILE: the bytes of the two agree.
same() {
  cmp "$1" "$2"
}

# certificate NAME SUBJECTS OPTION...: makes NAME.pem and NAME.key.
certificate() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -subj "/CN=$1" -addext "subjectAltName=$2" \
    -addext basicConstraints=critical,CA:FALSE -keyout "$1.key" -out "$1.pem" "${@:3}" 2>/dev/null
}

# expire NAME: makes expired.pem with the key of NAME, valid for a day in 2020. Only `openssl ca` takes dates.
expire() {
  printf '%s\n' '[ca]' 'default_ca=d' '[d]' 'database=index' 'new_certs_dir=.' 'serial=serial' 'default_md=sha256' 'policy=p' \
    'copy_extensions=copy' '[p]' 'commonName=supplied' >ca.conf
  : >index
  echo 01 >serial
  cp "$1.key" expired.key
  openssl req -new -key expired.key -subj /CN=expired -addext subjectAltName=DNS:localhost -out expired.csr
  openssl ca -batch -config ca.conf -selfsign -keyfile expired.key -in expired.csr -startdate 20200101000000Z -enddate 20200102000000Z \
    -notext -out expired.pem 2>/dev/null
}

# each FUNCTION ARGUMENTS...: calls it with every transport that speaks TLS, as its first argument and in the settings.
each() {
  local transport
  for transport in openssl curl; do
    echo "over $transport"
    MEDIATOR_TRANSPORT=$transport "$1" "$transport" "${@:2}"
  done
}
