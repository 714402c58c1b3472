#!/usr/bin/env bash
# guard.sh   ends cluster N once no test process has used it for a while. The
# test harness starts one beside the cluster; it outlives the test process, so
# a cluster goes away even if its tests were killed.
#   $C.up.lock     held while the cluster is started or ended
#   $C.users.lock  held (shared) by each test process for as long as it lives
#   $C.guard.lock  held by the one guard
set -uo pipefail
. "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/env.sh"
linger=${HOLDFAST_LAB_LINGER:-20}   # seconds in which the next test binary of the same run takes over

# A guard that is just ending may still hold it; a guard that stays means this one is not needed.
exec 7> "$C.guard.lock"; flock -w 2 7 || exit 0
exec 8> "$C.up.lock" 9> "$C.users.lock"
while :; do
  flock 9; flock -u 9
  sleep "$linger"
  flock 8
  if flock -n 9; then "$here/down.sh"; exit 0; fi
  flock -u 8
done
