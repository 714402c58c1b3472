# Sourced by up.sh for a full cluster: the node's side.

node_needs() { # everything a node runs that is not built here
  [ "$EUID" = 0 ] || { echo "up.sh: a full cluster needs root (use control-plane)" >&2; exit 3; }
  need containerd:containerd ctr:containerd runc:runc iptables:iptables conntrack:conntrack socat:socat ethtool:ethtool \
    nsenter:util-linux ip:iproute2 /usr/lib/cni/bridge:containernetworking-plugins
}

machine() { # kernel settings, network namespace, cgroups
  # The kubelet sets these three for the whole machine; remember what they were.
  [ -e "$C/sysctl" ] || for p in vm/overcommit_memory kernel/panic kernel/panic_on_oops; do
    echo "$p $(cat /proc/sys/$p)"; done > "$C/sysctl"

  # One namespace holds the whole cluster: its ports, bridge, routes and
  # iptables rules never meet the machine's, it has no way out, and deleting
  # it cleans all of that up.
  if [ ! -e "/run/netns/$NETNS" ]; then
    ip netns add "$NETNS"
    ip -n "$NETNS" link set lo up
    ip -n "$NETNS" addr add "$NODE_IP/32" dev lo
    nsenter "--net=/run/netns/$NETNS" sh -c '
      echo 1 > /proc/sys/net/ipv4/ip_forward
      echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables'
  fi

  # The pods' cgroup (kubelet: cgroupRoot) must be there in every hierarchy;
  # the daemons' own is only in the pids one, to find every process at the end.
  local h
  for h in /sys/fs/cgroup/*/; do
    mkdir -p "$h${CGROUP#/}"
    # a new cpuset is empty: nothing can be put in it before it gets its CPUs
    if [ -e "${h}cpuset.cpus" ]; then
      cat "${h}cpuset.cpus" > "$h${CGROUP#/}/cpuset.cpus"; cat "${h}cpuset.mems" > "$h${CGROUP#/}/cpuset.mems"
    fi
  done
  mkdir -p "/sys/fs/cgroup/pids$CGROUP-daemons"

  # Volumes with mountPropagation need a shared mount below the kubelet's root.
  mkdir -p "$C/kubelet"
  mountpoint -q "$C/kubelet" || { mount --bind "$C/kubelet" "$C/kubelet"; mount --make-rshared "$C/kubelet"; }
  say "namespace, cgroups, mounts"
}

runtime() { # containerd and its images
  mkdir -p "$C"/containerd "$C"/cni/net.d "$C"/cni/ipam "$C"/pod-logs
  cat > "$C/cni/net.d/10-lab.conflist" <<JSON
{"cniVersion": "0.4.0", "name": "lab", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isDefaultGateway": true, "hairpinMode": true, "ipMasq": false,
   "ipam": {"type": "host-local", "dataDir": "$C/cni/ipam", "ranges": [[{"subnet": "$NODE_POD_CIDR"}]]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
JSON
  cat > "$C/containerd/config.toml" <<TOML
version = 2
root = "$C/containerd/root"
state = "$C/containerd/state"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.internal.v1.opt", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]
[grpc]
  address = "$CTRD"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$C/cni/net.d"
TOML
  start containerd containerd --config "$C/containerd/config.toml" --log-level warn
  wait_for 30 "containerd ready" ctr -a "$CTRD" version
  # in the background, while the API server starts
  ( "$here/load.sh" "$IMAGES"/*.tar ) > "$C/log/load.log" 2>&1 & loading=$!
}

node() { # kubelet, kube-proxy
  cat > "$C/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix://$CTRD
cgroupDriver: cgroupfs
cgroupRoot: $CGROUP
failCgroupV1: false
failSwapOn: false
address: 0.0.0.0
port: 10250
healthzPort: 0
tlsCertFile: $P/kubelet-server.crt
tlsPrivateKeyFile: $P/kubelet-server.key
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: $P/ca.crt}
authorization: {mode: Webhook}
clusterDomain: cluster.local
clusterDNS: [$DNS_IP]
resolvConf: ""
podLogsDir: $C/pod-logs
volumePluginDir: $C/kubelet-plugins
serializeImagePulls: false
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard: {memory.available: 200Mi, nodefs.available: 1%, nodefs.inodesFree: 1%, imagefs.available: 1%}
nodeStatusUpdateFrequency: 5s
syncFrequency: 10s
YAML
  cat > "$C/proxy.yaml" <<YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
clientConnection: {kubeconfig: $P/proxy.conf}
hostnameOverride: $NODE
clusterCIDR: $POD_CIDR
bindAddress: 127.0.0.1
metricsBindAddress: 127.0.0.1:10249
healthzBindAddress: 127.0.0.1:10256
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
YAML
  wait "$loading" || die "image import failed: $C/log/load.log"
  say "images imported"
  start kubelet kubelet --config="$C/kubelet.yaml" --kubeconfig="$P/kubelet.conf" --root-dir="$C/kubelet" --cert-dir="$C/kubelet-pki" \
    --hostname-override="$NODE" --node-ip="$NODE_IP"
  start kube-proxy kube-proxy --config="$C/proxy.yaml"
}

forward() { # 127.0.0.1:$API_PORT of the machine -> the same in the namespace
  local sock=$C/api.sock
  start forward-in socat "UNIX-LISTEN:$sock,fork,unlink-early,mode=600" "TCP:127.0.0.1:$API_PORT"
  local NS=()
  start forward-out socat "TCP-LISTEN:$API_PORT,bind=127.0.0.1,fork,reuseaddr" "UNIX-CONNECT:$sock"
}

cluster_addons() {
  { sed "s/@DNS_IP@/$DNS_IP/" "$here/manifests/coredns.yaml"; echo ---; sed "s|@PATH@|$C/volumes|" "$here/manifests/local-path.yaml"; } |
    kubectl apply --server-side --force-conflicts --validate=ignore -f - > "$C/log/addons.log" 2>&1 || die "add-ons refused: $C/log/addons.log"
  say "add-ons applied"
}
