#!/usr/bin/env bash
# MinIO, an S3 server, built from its Go module: minutes. AGPL: the other side of a test, nothing else.
#   minio.sh install
#   minio.sh start PORT DIR    prints the pid; S3 on http://127.0.0.1:PORT, key holdfast, secret holdfast-secret
set -euo pipefail
name=minio version=v0.0.0-20260212201848-7aac2a2c5b7c   # the newest that the proxy has
. "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/server.sh"

install() { module "$1" github.com/minio/minio; }

healthy() { ask --fail --output /dev/null "$1/minio/health/cluster"; }
start() {
  local port=$1 dir=$2
  mkdir -p "$dir/data" "$dir/certs"
  export MINIO_ROOT_USER=holdfast MINIO_ROOT_PASSWORD=holdfast-secret MINIO_BROWSER=off MINIO_UPDATE=off MINIO_CALLHOME_ENABLE=off
  "$home/minio" server --quiet --address "127.0.0.1:$port" --certs-dir "$dir/certs" "$dir/data" > "$dir/log" 2>&1 < /dev/null &
  started $! "$port" "$dir/log" healthy "http://127.0.0.1:$port"
}
serve "$@"
