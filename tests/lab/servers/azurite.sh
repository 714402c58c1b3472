#!/usr/bin/env bash
# Azurite, Microsoft's server of Azure's Blob interface.
#   azurite.sh install
#   azurite.sh start PORT DIR    prints the pid; http://127.0.0.1:PORT/devstoreaccount1, with the well-known key of that account
set -euo pipefail
name=azurite version=3.35.0   # the last that Node 20 runs
. "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/server.sh"

install() {
  need npm:npm node:nodejs
  cp "$servers"/azurite/package*.json "$1"
  npm ci --prefix "$1" --ignore-scripts --omit optional --no-audit --no-fund --loglevel error
}

answers() { ask --output /dev/null "$1"; }   # it opens its stores before its port
start() {
  local port=$1 dir=$2
  mkdir -p "$dir/data"
  node "$home/node_modules/azurite/dist/src/blob/main.js" --blobHost 127.0.0.1 --blobPort "$port" --location "$dir/data" \
    --disableTelemetry --disableProductStyleUrl --skipApiVersionCheck --silent > "$dir/log" 2>&1 < /dev/null &
  started $! "$port" "$dir/log" answers "http://127.0.0.1:$port/devstoreaccount1"
}
serve "$@"
