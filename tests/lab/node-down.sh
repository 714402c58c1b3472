# Sourced by down.sh for a full cluster: what its node left on the machine.

# Whatever is left in the cluster's cgroups (shims, containers) is ours too.
for g in "/sys/fs/cgroup/pids$CGROUP" "/sys/fs/cgroup/pids$CGROUP-daemons"; do
  [ -d "$g" ] || continue
  for i in 1 2 3; do
    pids=$(find "$g" -name cgroup.procs -exec cat {} + 2>/dev/null); [ -n "$pids" ] || break
    kill -9 $pids 2>/dev/null; sleep 0.2
  done
done
# Deepest mounts first.
awk -v c="$C/" 'index($5, c) == 1 {print $5}' /proc/self/mountinfo | sort -r | while read -r m; do
  umount "$m" 2>/dev/null || umount -l "$m"
done
ip netns del "$NETNS" 2>/dev/null
for h in /sys/fs/cgroup/*/; do
  for g in "$h${CGROUP#/}" "$h${CGROUP#/}-daemons"; do
    [ -d "$g" ] && find "$g" -depth -type d -exec rmdir {} + 2>/dev/null
  done
done
# The kubelet's links to logs are at a fixed place.
for l in /var/log/containers/*.log; do
  case $(readlink "$l") in "$C"/*) rm -f "$l" ;; esac
done
[ -e "$C/sysctl" ] && while read -r k v; do echo "$v" > "/proc/sys/$k"; done < "$C/sysctl"
