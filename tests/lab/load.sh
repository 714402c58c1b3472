#!/usr/bin/env bash
# load.sh IMAGE.tar...   imports image archives into the full cluster's node
set -euo pipefail
. "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/env.sh"
for f; do
  # skip what is there already: the stamp is the archive's own digest
  d=$(sha256sum "$f" | cut -d' ' -f1); s=$C/containerd/loaded-$d
  [ -e "$s" ] && continue
  ctr -a "$CTRD" -n k8s.io images import "$f"
  touch "$s"
done
