#!/usr/bin/env bash
# build.sh   `beside` (what Argo CD and Flux do, of their own libraries) and promtool into the cache; prints the folder they are in
# Needs Go. What is in the cache already is not built again: about 6 minutes on two cores the first time, 2 after tests/lab/build.sh, which
# compiles much of the same.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${HOLDFAST_CACHE:-$HOME/.cache/holdfast}
key=$(cd "$here" && cat build.sh go.mod go.sum ./*.go | sha256sum | cut -c1-12)
out=$cache/tools-$key

if [ ! -x "$out/promtool" ]; then
  command -v go > /dev/null || { echo "build.sh: missing programs, install them with: apt-get install -y --no-install-recommends golang-go" >&2; exit 3; }
  mkdir -p "$cache"
  exec {lock}> "$cache/tools.lock"
  flock -n "$lock" || { echo "build.sh: another build runs, waiting for it" >&2; flock "$lock"; }
fi
if [ ! -x "$out/promtool" ]; then
  echo "build.sh: beside and promtool: minutes the first time" >&2
  # Made elsewhere and moved at the end: an interrupted build leaves nothing that looks finished.
  rm -rf "$cache"/tools-building.*
  t=$(mktemp -d "$cache/tools-building.XXXXXX"); trap 'rm -rf "$t"' EXIT
  mkdir -p "$t/source/promtool" "$t/out"
  cp "$here"/go.* "$here"/*.go "$t/source"
  cd "$t/source"
  # promtool links the discovery of every cloud, of which a check of rules needs nothing: its source without that list builds in a quarter of the time.
  prometheus=$(go list -m -f '{{.Dir}}' github.com/prometheus/prometheus 2> /dev/null)
  [ -n "$prometheus" ] || { go mod download github.com/prometheus/prometheus; prometheus=$(go list -m -f '{{.Dir}}' github.com/prometheus/prometheus); }
  for file in "$prometheus"/cmd/promtool/*.go; do
    case $file in
      *_test.go) ;;
      *) sed '/prometheus\/plugins"/d' "$file" > "promtool/${file##*/}" ;;
    esac
  done
  export CGO_ENABLED=0
  # Without the lock, which a child left behind would hold.
  go build -trimpath -ldflags '-s -w' -o "$t/out/" . ./promtool {lock}>&-
  mv "$t/out" "$out"
fi
echo "$out"
