#!/usr/bin/env bash
# The daemon against a real forge: a status branch as people see it, protected, and deleted under it.
#   walk.sh [PICTURES]     needs the lab (tests/lab), npm, Go; with PICTURES also chromium: pages are kept in that folder
# Not part of `make test`: Gitea takes some minutes to build.
set -euo pipefail
forge_files=$(cd "$(dirname "$0")" && pwd) root=$(cd "$(dirname "$0")/../.." && pwd)
pictures=${1:+$(realpath "$1")}
work=$(mktemp -d) port=$((21000 + RANDOM % 5000))
export N=${N:-8} GITEA_PASSWORD=Lab-pass-1
pids=()
end() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  "$root/tests/lab/down.sh" >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap end EXIT
say() { printf '\n== %s\n' "$*"; }
# Waits until a command succeeds, for two minutes at most.
until_true() { # quiet: a failure on the way is no news
  for _ in $(seq 240); do "$@" && return; sleep 0.5; done
  echo "never: $*" >&2
  tail -30 "$work/daemon.log" >&2
  exit 1
}

say "A control plane, a forge, a daemon"
cargo build --quiet --manifest-path "$root/Cargo.toml"
holdfast=${CARGO_TARGET_DIR:-$root/target}/debug/holdfast
"$root/tests/lab/up.sh" control-plane >/dev/null
# kubectl is among what the lab has built.
. "$root/tests/lab/env.sh"
export KUBECONFIG=$C/admin.conf
"$holdfast" crds | kubectl apply --server-side -f - >/dev/null
kubectl wait --for=condition=established --timeout=60s crd --all >/dev/null
kubectl create namespace holdfast >/dev/null
kubectl apply -f "$root/tests/demo/targets.yaml" >/dev/null
kubectl apply -f "$forge_files/more-targets.yaml" >/dev/null
pids+=("$("$forge_files/gitea.sh" start "$port" "$work/gitea")")
forge=http://127.0.0.1:$port
api() { curl -sf -u "maria:$GITEA_PASSWORD" -H 'Content-Type: application/json' "$@"; }
api "$forge/api/v1/user/repos" -d '{"name": "platform", "default_branch": "main"}' >/dev/null
mkdir "$work/source"
cp -r "$root/examples/quick-start/git/." "$work/source/"
cp "$forge_files/policies.yaml" "$work/source/platform/backup/"
(
  cd "$work/source"
  git init -q -b main
  git add .
  git -c user.name=Maria -c user.email=maria@lab.invalid commit -qm "Back up the shop, the CRM and the infrastructure"
  git push -q "http://maria:$GITEA_PASSWORD@127.0.0.1:$port/maria/platform" main
)
mkdir "$work/credentials"
printf maria > "$work/credentials/username"
printf %s "$GITEA_PASSWORD" > "$work/credentials/password"
"$holdfast" daemon --cluster-name prod-eu1 --git-url "$forge/maria/platform" --git-insecure --git-credentials "$work/credentials" \
  --namespace holdfast --listen 127.0.0.1:0 --cache-dir "$work/cache" --git-interval 2s --full-pass 5s > "$work/daemon.log" 2>&1 &
pids+=($!)
branch=holdfast/prod-eu1
tip() { git ls-remote "http://maria:$GITEA_PASSWORD@127.0.0.1:$port/maria/platform" "refs/heads/$branch" | cut -f1; }
is_there() { [ -n "$(tip)" ]; }
moved() { local now; now=$(tip); [ -n "$now" ] && [ "$now" != "$1" ]; }
until_true is_there
settled() { local before; before=$(tip); sleep 15; [ "$before" = "$(tip)" ]; }
until_true settled
git clone -q -b "$branch" "http://maria:$GITEA_PASSWORD@127.0.0.1:$port/maria/platform" "$work/status"
git -C "$work/status" log --oneline | sed 's/^/  /'

picture() { # picture NAME HEIGHT PATH
  [ -n "$pictures" ] || return 0
  chromium --headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update --disable-sync \
    --hide-scrollbars --user-data-dir="$work/chromium" --window-size=1200,"$2" --virtual-time-budget=8000 \
    --screenshot="$pictures/$1.png" "$forge/maria/platform/$3" 2>/dev/null
  echo "  $pictures/$1.png"
}
say "What people see"
api -X PATCH "$forge/api/v1/repos/maria/platform" -d '{"private": false}' >/dev/null
picture status-branch 2300 "src/branch/$branch"
picture findings 1700 "src/branch/$branch/findings.yaml"
picture commits 700 "commits/branch/$branch"

say "The forge protects the branch: nobody may push"
api "$forge/api/v1/repos/maria/platform/branch_protections" -d "{\"rule_name\": \"$branch\", \"enable_push\": false}" >/dev/null
before=$(tip)
kubectl -n shop annotate pvc receipts stash.appscode.com/backup-blueprint=volumes >/dev/null
until_true grep -q 'the server refuses the status branch' "$work/daemon.log"
[ "$(tip)" = "$before" ]
until_true kubectl -n shop get backupconfiguration persistentvolumeclaim-receipts
echo "  the push is refused and said so; the backup of shop/receipts was made all the same"
api -X DELETE "$forge/api/v1/repos/maria/platform/branch_protections/${branch/\//%2F}"
until_true moved "$before"
echo "  allowed again: the branch moved on to $(tip)"

say "Somebody deletes the branch"
api -X DELETE "$forge/api/v1/repos/maria/platform/branches/${branch/\//%2F}"
kubectl -n shop annotate pvc receipts stash.appscode.com/backup-blueprint- >/dev/null
until_true is_there
git -C "$work/status" fetch -q origin "$branch"
git -C "$work/status" ls-tree -r --name-only FETCH_HEAD | sed 's/^/  /'
say "All well"
