#!/usr/bin/env bash
# Versity's S3 gateway over a folder: objects are plain files, easy to damage. Built from its Go module: minutes.
#   versitygw.sh install
#   versitygw.sh start PORT DIR    prints the pid; S3 on http://127.0.0.1:PORT, key holdfast, secret holdfast-secret; objects are DIR/data/BUCKET/KEY
set -euo pipefail
name=versitygw version=v1.8.0
. "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/server.sh"

install() { module "$1" github.com/versity/versitygw/cmd/versitygw; }

healthy() { ask --fail --output /dev/null "$1/health"; }
start() {
  local port=$1 dir=$2
  mkdir -p "$dir/data"
  ROOT_ACCESS_KEY=holdfast ROOT_SECRET_KEY=holdfast-secret "$home/versitygw" --port "127.0.0.1:$port" --region us-east-1 --health /health \
    posix "$dir/data" > "$dir/log" 2>&1 < /dev/null &
  started $! "$port" "$dir/log" healthy "http://127.0.0.1:$port"
}
serve "$@"
