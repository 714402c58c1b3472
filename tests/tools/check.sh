#!/usr/bin/env bash
# check.sh   what deploy/ and examples/ have for Prometheus, Argo CD and Flux, judged by their own code
set -euo pipefail
cd "$(dirname "$0")/../.."

tools=$(tests/tools/build.sh) || {
  status=$?
  # Elsewhere than in CI a missing program skips this level, in one loud line.
  [ "$status" = 3 ] && [ "${CI:-}" != true ] || exit "$status"
  echo "SKIPPED: checks of deploy/ and examples/ by Prometheus, Argo CD and Flux" >&2
  exit 0
}
"$tools/promtool" check rules --lint=all --lint-fatal deploy/monitoring/alerts.yaml
"$tools/promtool" test rules tests/data/monitoring/alerts.test.yaml
"$tools/beside" health deploy/health/argocd-cm.yaml deploy/health/flux-kustomization.yaml tests/data/health/cases.yaml src/install/crds
mapfile -t manifests < <(grep -rlE '^apiVersion: (argoproj\.io|[a-z]+\.toolkit\.fluxcd\.io)/' deploy examples --include=*.yaml)
"$tools/beside" manifests "${manifests[@]}"
