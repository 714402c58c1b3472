# Sourced by every script here.
#   HOLDFAST_LAB    where clusters run (state, logs); default /tmp/holdfast-lab-$UID
#   HOLDFAST_CACHE  where built programs are kept; default ~/.cache/holdfast
#   N               which cluster: 0, 1, ... or a short word; they run side by side
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
LAB=${HOLDFAST_LAB:-/tmp/holdfast-lab-$UID}
CACHE=${HOLDFAST_CACHE:-$HOME/.cache/holdfast}
N=${N:-0}
C=$LAB/c$N                            # this cluster's state

die() { echo "${0##*/}: $*" >&2; exit 1; }
case $N in *[!a-z0-9]*|?????????????*|'') die "N=$N: at most 12 letters a-z and digits";; esac
own_lab() { # the folder has a guessable name below /tmp: only use it if it is ours
  mkdir -p -m 700 "$LAB"; [ -O "$LAB" ] || die "$LAB belongs to another user: set HOLDFAST_LAB"
}
need() { # need COMMAND:DEBIAN-PACKAGE...: exit 3 with the apt line if one is missing
  local t packages=() path=$PATH:/usr/sbin:/sbin
  for t; do PATH=$path command -v "${t%%:*}" > /dev/null || packages+=("${t##*:}"); done
  [ ${#packages[@]} = 0 ] && return
  echo "${0##*/}: missing programs, install them with: apt-get install -y --no-install-recommends $(printf '%s\n' "${packages[@]}" | sort -u | paste -sd' ')" >&2
  exit 3
}

# One cache for each state of what is built, so that a change builds anew and
# going back to an older checkout finds its programs again.
KEY=$(cd "$here" && cat build.sh kube/* services/go.* services/coredns/* images/* | sha256sum | cut -c1-12)
K8S=$CACHE/k8s-$KEY
BIN=$K8S/control                      # etcd and Kubernetes
FULL_BIN=$K8S/full/bin                # what only a full cluster runs
IMAGES=$K8S/full/images               # image archives, imported by `up.sh full`
PATH=$BIN:$FULL_BIN:$PATH:/usr/sbin:/sbin

NETNS=holdfast-lab-$N                 # network namespace of a full cluster
CGROUP=/holdfast-lab-$N               # its cgroup in every hierarchy
NODE=node-$N
NODE_IP=10.243.0.1                    # on the namespace's loopback interface
POD_CIDR=10.244.0.0/16
NODE_POD_CIDR=10.244.0.0/24
SVC_CIDR=10.96.0.0/16
DNS_IP=10.96.0.10
CTRD=$C/containerd/containerd.sock
export KUBECONFIG=$C/admin.conf
