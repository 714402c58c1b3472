#!/usr/bin/env bash
# OpenStack Swift, all its servers in one process, with its own TempAuth (version 1).
#   swift.sh install
#   swift.sh start PORT DIR    prints the pid; http://127.0.0.1:PORT/auth/v1.0, user holdfast:backup, key holdfast-secret
set -euo pipefail
name=swift version=2.38.3
. "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/server.sh"

install() { wheel "$1" "$(cat "$servers/swift/requirements.txt")"; }

stores() {
  local headers url token
  headers=$(ask --fail --dump-header - --header 'X-Auth-User: holdfast:backup' --header 'X-Auth-Key: holdfast-secret' "$1/auth/v1.0" | tr -d '\r')
  url=$(sed -n 's/^X-Storage-Url: //p' <<< "$headers") token=$(sed -n 's/^X-Auth-Token: //p' <<< "$headers")
  ask --fail --header "X-Auth-Token: $token" --request PUT "$url/holdfast-ready" &&
    ask --fail --header "X-Auth-Token: $token" --request PUT --data stored "$url/holdfast-ready/object" &&
    ask --fail --header "X-Auth-Token: $token" --request DELETE "$url/holdfast-ready/object" &&
    ask --fail --header "X-Auth-Token: $token" --request DELETE "$url/holdfast-ready"
}
start() {
  local port=$1 dir=$2
  need python3:python3
  PYTHONPATH=$home PYTHONDONTWRITEBYTECODE=1 python3 -W ignore "$servers/swift/one_process.py" "$port" "$dir" > "$dir/log" 2>&1 < /dev/null &
  started $! "$port" "$dir/log" stores "http://127.0.0.1:$port"
}
serve "$@"
