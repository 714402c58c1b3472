#!/usr/bin/env bash
# install.sh   the servers that every run of the tests starts, into the cache: half a minute the first time; the others install themselves when started
set -euo pipefail
cd "$(dirname "$0")"
for server in seaweedfs rclone fake-gcs azurite swift; do ./$server.sh install; done
