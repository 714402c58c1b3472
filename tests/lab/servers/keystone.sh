#!/usr/bin/env bash
# OpenStack Swift behind Keystone (identity version 3), both in one process.
#   keystone.sh install
#   keystone.sh start PORT DIR    prints the pid; http://127.0.0.1:PORT/identity/v3, user backup, password holdfast-secret, domain Default,
#                                 project holdfast, region lab
set -euo pipefail
name=keystone version=30.0.0
. "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/server.sh"

configuration() { # configuration DIR: of the Keystone whose database and keys are there
  mkdir -p "$1/keystone"
  cat > "$1/keystone/keystone.conf" <<INI
[DEFAULT]
log_file = $1/keystone/log
[database]
connection = sqlite:///$1/keystone/database
[fernet_tokens]
key_repository = $1/keystone/keys
[identity]
password_hash_rounds = 4
INI
}
manage() { PYTHONPATH=$1 PYTHONWARNINGS=ignore python3 "$1/bin/keystone-manage" --config-dir "$1/first/keystone" "${@:2}"; }
install() { # with a first database, since making one takes ten seconds
  need python3:python3
  wheel "$1" "$(cat "$servers/swift/keystone.txt")"
  configuration "$1/first"
  mkdir -m 700 "$1/first/keystone/keys"
  manage "$1" db_sync
  manage "$1" fernet_setup --keystone-user "$(id -u)" --keystone-group "$(id -g)"
  manage "$1" bootstrap --bootstrap-username backup --bootstrap-password holdfast-secret --bootstrap-project-name holdfast \
    --bootstrap-role-name admin --bootstrap-region-id lab
}

gives_tokens() {
  ask --fail --output /dev/null --header 'Content-Type: application/json' "$1/identity/v3/auth/tokens" --data '{"auth": {
    "identity": {"methods": ["password"], "password": {"user": {"name": "backup", "domain": {"name": "Default"}, "password": "holdfast-secret"}}},
    "scope": {"project": {"name": "holdfast", "domain": {"name": "Default"}}}}}'
}
start() {
  local port=$1 dir=$2
  [ -d "$dir/keystone" ] || cp -r "$home/first/keystone" "$dir/keystone"
  configuration "$dir"
  python3 "$servers/swift/catalogue.py" "$dir/keystone/database" "$port"
  PYTHONPATH=$home PYTHONDONTWRITEBYTECODE=1 python3 -W ignore "$servers/swift/one_process.py" "$port" "$dir" keystone > "$dir/log" 2>&1 < /dev/null &
  started $! "$port" "$dir/log" gives_tokens "http://127.0.0.1:$port"
}
serve "$@"
