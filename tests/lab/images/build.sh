#!/usr/bin/env bash
# images/build.sh CONTROL_BIN FULL_BIN OUT   builds the image archives that a
# full cluster and its tests use, from built programs and static busybox.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
control=$1 full=$2 out=$3
mkdir -p "$out"
w=$(mktemp -d); trap 'rm -rf "$w"' EXIT
busybox=$(command -v busybox)

base() { # base DIR: the files a static program may look for
  mkdir -p "$1"/{bin,etc,tmp,root,var,data,proc,sys,dev}
  chmod 1777 "$1/tmp"
  printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n' > "$1/etc/passwd"
  printf 'root:x:0:\nnogroup:x:65534:\n' > "$1/etc/group"
  printf 'hosts: files dns\n' > "$1/etc/nsswitch.conf"
}
shell() { # shell DIR: busybox with a link for each of its programs
  install -m 755 "$busybox" "$1/bin/busybox"
  "$busybox" --list | while read -r p; do [ "$p" = busybox ] || ln -sf busybox "$1/bin/$p"; done
  ln -sfn bin "$1/sbin"; mkdir -p "$1/usr"; ln -sfn ../bin "$1/usr/bin"
}
image() { # image NAME:TAG CONFIG; the root file system is $w/NAME
  "$here/mkimage.sh" "localhost/$1" "$w/${1%%:*}" "$out/${1%%:*}.tar" "$2"
}

mkdir -p "$w/pause"
gcc -Os -static -s -o "$w/pause/pause" "$here/pause.c"
image pause:1 '{"Entrypoint":["/pause"],"User":"65534:65534"}'

path='"Env":["PATH=/bin:/usr/bin"]'
base "$w/busybox"; shell "$w/busybox"
image busybox:1 "{$path,\"Cmd\":[\"/bin/sh\"]}"

base "$w/coredns"; install -m 755 "$full/coredns" "$w/coredns/bin/coredns"
image coredns:1 "{$path,\"Entrypoint\":[\"/bin/coredns\"]}"

base "$w/etcd"; shell "$w/etcd"; install -m 755 "$control/etcd" "$full/etcdctl" "$full/etcdutl" "$w/etcd/bin/"
image etcd:3.6 "{$path,\"Cmd\":[\"/bin/etcd\"]}"

base "$w/nats"; shell "$w/nats"; install -m 755 "$full/nats-server" "$w/nats/bin/"
image nats:2.12 "{$path,\"Cmd\":[\"/bin/nats-server\"]}"

base "$w/local-path-provisioner"; install -m 755 "$full/local-path-provisioner" "$w/local-path-provisioner/bin/"
image local-path-provisioner:1 "{$path,\"Cmd\":[\"/bin/local-path-provisioner\"]}"
