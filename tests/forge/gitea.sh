#!/usr/bin/env bash
# A real Gitea, built from the Go module proxy, with its frontend: to look at the status branch as people see it.
#   gitea.sh build                   (some minutes; needs git, a C compiler, Go, npm)
#   gitea.sh start PORT DIR          prints the pid; HTTP on PORT; makes the administrator `maria` with the password in $GITEA_PASSWORD
set -euo pipefail

# 1.27 cannot be built from the proxy: it refuses three of its dependencies.
version=v1.26.0
password=${GITEA_PASSWORD:-Lab-pass-1}
home=${HOLDFAST_CACHE:-$HOME/.cache/holdfast}/gitea-$version

build() {
  [ -e "$home/.built" ] && return
  mkdir -p "$home/static"
  local source
  source=$(mktemp -d)
  trap 'chmod -R u+w "$source"; rm -rf "$source"' RETURN
  GOFLAGS=-mod=mod go mod download "code.gitea.io/gitea@$version"
  # The module has replace lines, so it cannot be installed by its version: build a copy that can be written.
  cp -r "$(go env GOMODCACHE)/code.gitea.io/gitea@$version/." "$source"
  chmod -R u+w "$source"
  (cd "$source" && GOFLAGS="-buildvcs=false -trimpath" go build -tags "sqlite sqlite_unlock_notify" \
    -ldflags "-s -w -X main.Version=${version#v}" -o "$home/gitea" .)
  # The frontend wants a newer Node than Debian has.
  local node=$home/node
  [ -x "$node/node_modules/.bin/pnpm" ] || npm install --silent --no-audit --no-fund --prefix "$node" node@24 pnpm@10
  (cd "$source" && export PATH=$node/node_modules/.bin:$PATH npm_config_manage_package_manager_versions=false &&
    pnpm install --frozen-lockfile --ignore-scripts >/dev/null && pnpm exec vite build --logLevel warn >/dev/null)
  cp -r "$source/templates" "$source/options" "$source/public" "$home/static/"
  touch "$home/.built"
}

configuration() {
  cat <<INI
RUN_MODE = prod
RUN_USER = $(id -un)
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true
WORK_PATH = $2
[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = $1
ROOT_URL = http://127.0.0.1:$1/
STATIC_ROOT_PATH = $home/static
APP_DATA_PATH = $2/data
OFFLINE_MODE = true
DISABLE_SSH = true
[database]
DB_TYPE = sqlite3
PATH = $2/data/gitea.db
[repository]
ROOT = $2/repositories
DEFAULT_BRANCH = main
[security]
INSTALL_LOCK = true
SECRET_KEY = $(head -c 32 /dev/urandom | base64 | tr -d '+/=')
INTERNAL_TOKEN = $("$home/gitea" generate secret INTERNAL_TOKEN)
[oauth2]
JWT_SECRET = $("$home/gitea" generate secret JWT_SECRET)
[service]
DISABLE_REGISTRATION = true
[cron]
ENABLED = false
[log]
MODE = file
ROOT_PATH = $2/log
[actions]
ENABLED = false
INI
}

start() {
  build
  local port=$1 folder
  mkdir -p "$2"/{custom/conf,data,log,home}
  folder=$(cd "$2" && pwd)
  [ -e "$folder/custom/conf/app.ini" ] || configuration "$port" "$folder" > "$folder/custom/conf/app.ini"
  export HOME=$folder/home GITEA_WORK_DIR=$folder
  "$home/gitea" web -c "$folder/custom/conf/app.ini" > "$folder/out.log" 2>&1 < /dev/null &
  local pid=$!
  for _ in $(seq 600); do
    curl -sf -o /dev/null "http://127.0.0.1:$port/api/healthz" && break
    kill -0 $pid 2>/dev/null || { tail -20 "$folder/out.log" >&2; exit 1; }
    sleep 0.1
  done
  [ -e "$folder/.administrator" ] || {
    "$home/gitea" -c "$folder/custom/conf/app.ini" admin user create --username maria --password "$password" \
      --email maria@lab.invalid --admin --must-change-password=false >/dev/null
    touch "$folder/.administrator"
  }
  echo $pid
}

case ${1:-} in
  build) build ;;
  start) start "$2" "$3" ;;
  *) sed -n '2,4p' "$0"; exit 2 ;;
esac
