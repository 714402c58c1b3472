#!/usr/bin/env bash
# up.sh control-plane   etcd, kube-apiserver, kube-controller-manager, kube-scheduler; any user
# up.sh full            the same plus containerd, kubelet, kube-proxy, CNI, cluster DNS and a
#                       default StorageClass, in a network namespace of its own; root only
#   N=1      a second cluster beside the first (other ports, other state)
#   AUDIT=1  the API server writes every request to $C/audit.log before it ends
# Safe to run again: a running cluster is left alone, one with a dead process is made anew.
# Exit status 3: a program is missing (the message says which package has it), or root is.
set -euo pipefail
. "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/env.sh"
. "$here/certs.sh"
size=${1:-}
case $size in control-plane|full) ;; *) sed -n '2,8s/^# //p' "$0"; exit 2;; esac
t0=$(date +%s%N)
say() { printf '%6d ms  %s\n' $(( ($(date +%s%N) - t0) / 1000000 )) "$*"; }

need openssl:openssl curl:curl flock:util-linux setsid:util-linux
[ "$size" = control-plane ] || . "$here/node.sh"
[ "$size" = control-plane ] || node_needs
FULL=$([ "$size" = control-plane ] || echo 1) "$here/build.sh"

alive() { # alive NAME: does the process of its pid file still run, and is it ours?
  local p; p=$(cat "$C/pid/$1" 2>/dev/null) && { tr '\0' ' ' < "/proc/$p/cmdline"; } 2>/dev/null | grep -qF "$C/"
}
if [ -e "$C/size" ]; then
  [ "$(cat "$C/size")" = "$size" ] || die "cluster $N is up as $(cat "$C/size"): run down.sh first"
  for f in "$C"/pid/*; do alive "${f##*/}" || { "$here/down.sh"; break; }; done
fi
own_lab
mkdir -p "$C"/{log,pid}
echo "$size" > "$C/size"

NS=()
if [ "$size" = full ]; then machine; NS=(nsenter "--net=/run/netns/$NETNS"); fi

taken() { (exec 3<> "/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
ports() { # five free ports in a row at a random place below the ephemeral ones; written down for the next run
  [ -e "$C/ports" ] && return 0
  local base p
  exec {lock}> "$LAB/ports.lock"; flock "$lock"   # two clusters that start at once must not pick the same
  for _ in $(seq 50); do
    base=$((20000 + RANDOM % 1200 * 10))
    grep -qsx "API_PORT=$base" "$LAB"/c*/ports && continue
    for p in $(seq $base $((base + 4))); do taken "$p" && continue 2; done
    printf '%s\n' API_PORT=$base ETCD_PORT=$((base + 1)) ETCD_PEER_PORT=$((base + 2)) KCM_PORT=$((base + 3)) SCHED_PORT=$((base + 4)) > "$C/ports"
    break
  done
  exec {lock}>&-
  [ -e "$C/ports" ] || die "no free ports found"
}
ports
. "$C/ports"

start() { # start NAME COMMAND...: in the background, with a log and a pid file
  local name=$1; shift
  alive "$name" && return 0
  ( if [ "$size" = full ]; then echo "$BASHPID" > "/sys/fs/cgroup/pids$CGROUP-daemons/cgroup.procs"; fi
    exec setsid "${NS[@]}" "$@" ) >> "$C/log/$name.log" 2>&1 < /dev/null &
  echo $! > "$C/pid/$name"
}
wait_for() { # wait_for SECONDS WHAT COMMAND...
  local s=$1 what=$2 end f; shift 2; end=$((SECONDS + s))
  until "$@" > /dev/null 2>&1; do
    for f in "$C"/pid/*; do
      kill -0 "$(cat "$f")" 2>/dev/null || { tail -5 "$C/log/${f##*/}.log" >&2; die "${f##*/} ended (log: $C/log/${f##*/}.log)"; }
    done
    [ $SECONDS -lt $end ] || die "$what: not there after $s s (logs: $C/log)"
    sleep 0.1
  done
  say "$what"
}

certs
say "certificates"

# --unsafe-no-fsync: a test cluster's data need not survive a power cut, and
# fsync is what bounds etcd's speed on a slow disk.
start etcd etcd --name=etcd0 --data-dir="$C/etcd" --unsafe-no-fsync --log-level=warn \
  --listen-client-urls="http://127.0.0.1:$ETCD_PORT" --advertise-client-urls="http://127.0.0.1:$ETCD_PORT" \
  --listen-peer-urls="http://127.0.0.1:$ETCD_PEER_PORT" --initial-advertise-peer-urls="http://127.0.0.1:$ETCD_PEER_PORT" \
  --initial-cluster="etcd0=http://127.0.0.1:$ETCD_PEER_PORT"

if [ "$size" = full ]; then
  # Pods reach the API server at the kubernetes Service, whose endpoint is this
  # address; the API refuses a loopback address there.
  api_flags=(--bind-address=0.0.0.0 --advertise-address="$NODE_IP")
else
  # No pods: nothing needs the endpoint, so leave it out (else the server looks
  # for a default route to find an address to advertise).
  api_flags=(--bind-address=127.0.0.1 --endpoint-reconciler-type=none)
fi
if [ -n "${AUDIT:-}" ]; then
  printf '%s\n' 'apiVersion: audit.k8s.io/v1' 'kind: Policy' 'omitStages: [RequestReceived]' 'rules: [{level: Metadata}]' > "$C/audit-policy.yaml"
  # blocking: a line is in the file before the request ends. One file of up to
  # 2 GB: a rotated log would hide requests from who reads it by offset.
  api_flags+=(--audit-policy-file="$C/audit-policy.yaml" --audit-log-path="$C/audit.log" --audit-log-mode=blocking --audit-log-maxsize=2000)
fi
start kube-apiserver kube-apiserver "${api_flags[@]}" --secure-port="$API_PORT" \
  --etcd-servers="http://127.0.0.1:$ETCD_PORT" \
  --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
  --allow-privileged=true --service-cluster-ip-range="$SVC_CIDR" \
  --client-ca-file="$P/ca.crt" --tls-cert-file="$P/apiserver.crt" --tls-private-key-file="$P/apiserver.key" \
  --service-account-issuer=https://kubernetes.default.svc.cluster.local \
  --service-account-key-file="$P/sa.pub" --service-account-signing-key-file="$P/sa.key" \
  --kubelet-client-certificate="$P/apiserver-kubelet-client.crt" --kubelet-client-key="$P/apiserver-kubelet-client.key" \
  --kubelet-certificate-authority="$P/ca.crt" --kubelet-preferred-address-types=InternalIP \
  --requestheader-client-ca-file="$P/front-proxy-ca.crt" --requestheader-allowed-names=front-proxy-client \
  --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
  --requestheader-extra-headers-prefix=X-Remote-Extra- \
  --proxy-client-cert-file="$P/front-proxy-client.crt" --proxy-client-key-file="$P/front-proxy-client.key" \
  --enable-aggregator-routing=true --profiling=false
# containerd and the images need no API server: both start side by side.
[ "$size" = control-plane ] || { forward; runtime; }

api() { curl -fsS --noproxy '*' --max-time 5 --cacert "$P/ca.crt" --cert "$P/admin.crt" --key "$P/admin.key" "https://127.0.0.1:$API_PORT$1"; }
wait_for 60 "kube-apiserver ready" api /readyz
# Only now: started before the API server has made its RBAC rules, the others
# are refused and wait out a back-off (5 s more until everything works).
# --kube-api-qps: at the default (20 a second) the controllers' own start alone
# takes 5 s, and tests that make many objects wait for it too.
start kube-controller-manager kube-controller-manager --kube-api-qps=300 --kube-api-burst=600 --kubeconfig="$P/controller-manager.conf" \
  --authentication-kubeconfig="$P/controller-manager.conf" --authorization-kubeconfig="$P/controller-manager.conf" \
  --bind-address=127.0.0.1 --secure-port="$KCM_PORT" --leader-elect=false --use-service-account-credentials=true \
  --service-account-private-key-file="$P/sa.key" --root-ca-file="$P/ca.crt" \
  --cluster-signing-cert-file="$P/ca.crt" --cluster-signing-key-file="$P/ca.key" \
  --allocate-node-cidrs=true --cluster-cidr="$POD_CIDR" --service-cluster-ip-range="$SVC_CIDR" \
  --requestheader-client-ca-file="$P/front-proxy-ca.crt" --profiling=false
start kube-scheduler kube-scheduler --kubeconfig="$P/scheduler.conf" \
  --authentication-kubeconfig="$P/scheduler.conf" --authorization-kubeconfig="$P/scheduler.conf" \
  --bind-address=127.0.0.1 --secure-port="$SCHED_PORT" --leader-elect=false --profiling=false

[ "$size" = control-plane ] || node

# The controller manager works once it has made the default ServiceAccount
# (before that the API refuses pods).
wait_for 60 "controllers ready (default ServiceAccount there)" api /api/v1/namespaces/default/serviceaccounts/default
if [ "$size" = full ]; then
  cluster_addons
  node_ready() { kubectl get node "$NODE" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}' | grep -q True; }
  wait_for 120 "node $NODE Ready" node_ready
  wait_for 120 "cluster DNS ready" kubectl -n kube-system rollout status deployment/coredns --timeout=1s
fi
say "up: export KUBECONFIG=$C/admin.conf PATH=$BIN:\$PATH"
