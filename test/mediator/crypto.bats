# Hashes and proofs of the stub, against the golden vectors and the tools of the system.

bats_require_minimum_version 1.5.0

setup() {
  load ../helpers/mediator-stub
  stub_load
}

# field NAME: the next value of that name in auth.json; prettier puts one on a line.
field() {
  local line
  while IFS= read -r line <&9; do
    [[ $line =~ \"$1\":\ \"(.*)\",?$ ]] || continue
    line=${BASH_REMATCH[1]//\\\"/\"}
    printf -v "$1" %b "$line"
    return
  done
  return 1
}

@test "both proofs of every golden vector are computed" {
  local secret audience key time nonce canonical stubProof agentProof mine theirs count=0
  exec 9<"$PROTOCOL/vectors/auth.json"
  while field secret; do
    field audience && field key && field time && field nonce && field canonical && field stubProof && field agentProof
    call crypto_key_states "$secret"
    KEY_ID=$key AUDIENCE=$audience NONCE=$nonce CALL=''
    call crypto_proofs mine theirs GET "$time"
    [ "$mine $theirs" = "$stubProof $agentProof" ]
    count=$((count + 1))
  done
  exec 9<&-
  [ "$count" -ge 5 ]
}

@test "the request that the stub sends proves what the canonical string says" {
  local secret audience key time nonce canonical proof
  exec 9<"$PROTOCOL/vectors/auth.json"
  field secret && field audience && field key && field time && field nonce && field canonical
  exec 9<&-
  wire_queue() { REQUEST=$2; }
  wire_flush() { :; }
  crypto_random() { printf -v "$1" %s "$nonce"; }
  call crypto_key_states "$secret"
  KEY_ID=$key URL_HOST=$audience URL_PORT=443 URL_PATH=$RUN_PATH AUDIENCE=$audience
  call http_request
  [[ $REQUEST =~ time=\"([0-9]+)\",\ nonce=\"$nonce\",\ proof=\"([0-9a-f]{32})\" ]]
  proof=$(printf %s "${canonical/$time/${BASH_REMATCH[1]}}" | openssl dgst -sha256 -hmac "$secret")
  proof=${proof##* }
  [ "${BASH_REMATCH[2]} $WANTED_PROOF" = "${proof:0:32} ${proof:32}" ]
}

@test "SHA-256 and SHA-1 are right at every length around a block" {
  local length text hex hash
  for length in 0 1 54 55 56 57 63 64 65 119 120 127 128 200; do
    printf -v text '%*s' "$length" ''
    bytes_hex hex "${text// /x}"
    call crypto_sha256 hash "$SHA256_START" 0 "$hex"
    [ "$hash" = "$(printf %s "${text// /x}" | sha256sum | cut -d' ' -f1)" ]
    call crypto_sha1 hash "$hex"
    [ "$hash" = "$(printf %s "${text// /x}" | sha1sum | cut -d' ' -f1)" ]
  done
}

@test "the accept value of RFC 6455 is computed" {
  SOCKET_KEY='dGhlIHNhbXBsZSBub25jZQ=='
  call http_expect
  [ "$WANTED_ACCEPT" = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=' ]
}

@test "random values are 32 hex digits and differ, from every source" {
  local one two
  call crypto_random one && call crypto_random two
  [[ $one =~ ^[0-9a-f]{32}$ && $two =~ ^[0-9a-f]{32}$ && $one != "$two" ]]
  unset SRANDOM
  call crypto_random one && call crypto_random two
  [[ $one =~ ^[0-9a-f]{32}$ && $two =~ ^[0-9a-f]{32}$ && $one != "$two" ]]
  call crypto_scramble one && call crypto_scramble two
  [[ $one =~ ^[0-9a-f]{32}$ && $two =~ ^[0-9a-f]{32}$ && $one != "$two" ]]
}
