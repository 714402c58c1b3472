#!/usr/bin/env bash
# in.sh COMMAND...   runs a command inside the full cluster's network namespace:
# there pod addresses, ClusterIPs and cluster DNS (10.96.0.10) are reachable.
# (nsenter, not `ip netns exec`: that one mounts a fresh /sys over the cgroups.)
. "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/env.sh"
exec nsenter "--net=/run/netns/$NETNS" "$@"
