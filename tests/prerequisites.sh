#!/usr/bin/env bash
# prerequisites.sh             says in one line what is missing to build Holdfast and to run its tests; exit status 3 if anything is
# prerequisites.sh --install   installs it (root)
set -euo pipefail

packages=()
command_of() { PATH=$PATH:/usr/sbin:/sbin command -v "$1" > /dev/null || packages+=("$2"); }
file_of() { compgen -G "$1" > /dev/null || packages+=("$2"); }
# To build: a C compiler for libgit2 and libssh2, and OpenSSL as a static library for them.
command_of cc gcc
file_of '/usr/include/stdlib.h' libc6-dev
file_of '/usr/include/openssl/ssl.h' libssl-dev
file_of '/usr/lib/*/libssl.a' libssl-dev
command_of make make
command_of pkg-config pkg-config
# To run: Git with its HTTP backend, an SSH server, and what tests/lab builds and starts Kubernetes with.
command_of git git
command_of sshd openssh-server
command_of ssh-keygen openssh-client
command_of go golang-go
command_of openssl openssl
# The other side of every repository.
command_of restic restic
command_of curl curl
command_of flock util-linux
command_of setsid util-linux
command_of tar tar
# Object stores, as packages (tests/lab/servers).
command_of pip3 python3-pip
command_of node nodejs
command_of npm npm
# To cross midnight and a slot of a schedule while a daemon idles.
file_of '/usr/lib/*/faketime/libfaketime.so.1' libfaketime
# For the image: the authorities that it trusts.
file_of '/usr/share/ca-certificates/mozilla/*.crt' ca-certificates
# A node for level 6. It needs root, so who cannot install does without: those tests are skipped in one loud line.
if [ "${1:-}" = --install ]; then
  command_of containerd containerd
  command_of runc runc
  command_of iptables iptables
  command_of conntrack conntrack
  command_of socat socat
  command_of ethtool ethtool
  command_of ip iproute2
  command_of busybox busybox-static
  file_of /usr/lib/cni/bridge containernetworking-plugins
fi

if [ ${#packages[@]} -gt 0 ]; then
  apt=(apt-get install -y --no-install-recommends)
  mapfile -t missing < <(printf '%s\n' "${packages[@]}" | sort -u)
  if [ "${1:-}" != --install ]; then
    echo "missing programs, install them as root: ${apt[*]} ${missing[*]}" >&2
    exit 3
  fi
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${apt[@]}" "${missing[@]}"
fi

# By rustup, which needs no root; Cargo.toml says which version is the oldest that will do.
if ! command -v cargo > /dev/null; then
  echo "missing cargo: install Rust by rustup" >&2
  exit 3
fi
