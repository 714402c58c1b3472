#!/usr/bin/env bash
# build.sh          etcd and Kubernetes into the cache: enough for a control plane
# FULL=1 build.sh   also coredns, local-path-provisioner and the image archives
# Needs Go and, for FULL, gcc with a static libc and busybox. What is in the
# cache already is not built again. GOFLAGS=-p=1 halves the memory and doubles
# the time.
set -euo pipefail
. "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/env.sh"

have_control() { [ -x "$BIN/kubectl" ]; }
have_full() { [ -z "${FULL:-}" ] || [ -d "$IMAGES" ]; }
have_control && have_full && exit 0

need go:golang-go flock:util-linux tar:tar
[ -z "${FULL:-}" ] || need gcc:gcc busybox:busybox-static
minor=$(go env GOVERSION | sed -E 's/^go1\.([0-9]+).*/\1/')
if ! [ "$minor" -ge 21 ] 2> /dev/null; then   # 1.21 and newer fetch the toolchain that go.mod asks for
  echo "build.sh: $(go env GOVERSION) is too old, Go 1.21 or newer is needed: apt-get install -y -t $(. /etc/os-release; echo "$VERSION_CODENAME")-backports golang-go" >&2
  exit 3
fi

mkdir -p "$CACHE"
exec {lock}> "$CACHE/build.lock"
flock -n "$lock" || { echo "build.sh: another build runs, waiting for it" >&2; flock "$lock"; }
have_control && have_full && exit 0   # that build made it

# Everything is made in a temporary folder and moved at the end: an interrupted
# build leaves nothing that looks finished. What a killed one left is nobody's now.
rm -rf "$CACHE"/building.*
t=$(mktemp -d "$CACHE/building.XXXXXX"); trap 'rm -rf "$t"' EXIT
mkdir -p "$K8S"
export CGO_ENABLED=0
build() { # build MODULE LDFLAGS OUT PACKAGE...; without the lock, which a child left behind would hold
  (cd "$here/$1" && go build -trimpath -ldflags "-s -w $2" -o "$3" "${@:4}") {lock}>&-
}

control() {
  local v major minor ld= p
  v=$(cd "$here/kube" && go list -m -f '{{.Version}}' k8s.io/kubernetes)
  IFS=. read -r major minor _ <<< "${v#v}"
  for p in k8s.io/client-go/pkg/version k8s.io/component-base/version; do
    ld+=" -X $p.gitVersion=$v -X $p.gitMajor=$major -X $p.gitMinor=$minor -X $p.gitTreeState=clean -X $p.buildDate=1970-01-01T00:00:00Z"
  done
  mkdir "$t/control"
  build services "" "$t/control/etcd" go.etcd.io/etcd/server/v3
  build kube "$ld" "$t/control/kube" .
  for p in kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet kubectl; do ln -s kube "$t/control/$p"; done
  mv "$t/control" "$BIN"
}
full() {
  mkdir -p "$t/full/bin"
  build services "" "$t/full/bin/" go.etcd.io/etcd/etcdctl/v3 go.etcd.io/etcd/etcdutl/v3 github.com/nats-io/nats-server/v2 ./coredns
  # On its own: it imports logrus by its old name (capital S), which go refuses
  # in one build with a program that imports it by the new one.
  build services "" "$t/full/bin/" github.com/rancher/local-path-provisioner
  "$here/images/build.sh" "$BIN" "$t/full/bin" "$t/full/images"
  mv "$t/full" "$K8S/full"
}
step() { local s=$SECONDS; echo "build.sh: $1" >&2; "$2"; echo "build.sh: done after $((SECONDS - s)) s" >&2; }
have_control || step "etcd and Kubernetes: about 7 minutes on two cores the first time" control
have_full || step "CoreDNS, local-path-provisioner, images: about 3 minutes the first time" full
