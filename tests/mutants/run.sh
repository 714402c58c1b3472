#!/usr/bin/env bash
# Applies each mutant to a copy of the tree and demands that the test which it names fails. Usage: run.sh [name…]
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=${HOLDFAST_CACHE:-$HOME/.cache/holdfast}/mutants
tree=$work/tree
mkdir -p "$tree"
exec 9>"$work/lock"
flock -n 9 || { echo "another run uses $work" >&2; exit 2; }

export CARGO_TARGET_DIR=$work/target GIT_CEILING_DIRECTORIES=$work
# The same cases in every run, and no time for making a failing one smaller.
export PROPTEST_RNG_SEED=${PROPTEST_RNG_SEED:-2026} PROPTEST_MAX_SHRINK_ITERS=0
export SIM_SEEDS=${SIM_SEEDS:-600}
unset RUST_BACKTRACE SIM_SEED UPDATE_DOCS UPDATE_GOLDEN
# A mutant that makes a test hang is not killed by it.
test_seconds_max=180

# Only files whose content differs are written, so that cargo builds again what it must and nothing else.
copy_tree() {
  local file
  (cd "$root" && git ls-files -z --cached --others --exclude-standard) >"$work/files"
  while IFS= read -r -d '' file; do
    mkdir -p "$(dirname "$tree/$file")"
    if [ -L "$root/$file" ]; then   # a golden plan has one, and it must stay one
      ln -sfn "$(readlink "$root/$file")" "$tree/$file"
      continue
    fi
    [ -e "$root/$file" ] || continue
    cmp -s "$root/$file" "$tree/$file" && continue
    cp "$root/$file" "$tree/$file"
  done <"$work/files"
  (cd "$tree" && find . -type f -print0) | while IFS= read -r -d '' file; do
    [ -e "$root/${file#./}" ] || rm -f "$tree/$file"
  done
}

header() { sed -n "s/^# $1: //p" "$here/$2.patch"; }

build() { (cd "$tree" && cargo test --quiet --test "$1" --no-run) >"$work/build.log" 2>&1; }

# 0: the test ran and passed; 1: it ran and failed by a panic; 2: anything else.
run_test() {
  local status=0
  (cd "$tree" && timeout "$test_seconds_max" cargo test --quiet --test "$1" -- --exact "$2") >"$work/test.log" 2>&1 || status=$?
  if [ $status -eq 0 ]; then
    grep -q '^test result: ok. 1 passed' "$work/test.log" && return 0
    return 2
  fi
  grep -q "^---- $2 stdout ----" "$work/test.log" && grep -q "panicked at" "$work/test.log" &&
    grep -q '^test result: FAILED. 0 passed; 1 failed' "$work/test.log" && return 1
  return 2
}

names=("$@")
if [ ${#names[@]} -eq 0 ]; then
  for patch in "$here"/*.patch; do names+=("$(basename "$patch" .patch)"); done
fi

copy_tree
failures=0
applicable=()
for name in "${names[@]}"; do
  if ! [ -f "$here/$name.patch" ] || [ -z "$(header 'killed by' "$name")" ] || [ -z "$(header binary "$name")" ]; then
    echo "MISSING   $name: no patch with '# killed by:' and '# binary:'"
    failures=$((failures + 1))
  elif ! (cd "$tree" && git apply --check "$here/$name.patch") 2>"$work/apply.log"; then
    echo "ROTTEN    $name: does not apply"
    failures=$((failures + 1))
  else
    applicable+=("$name")
  fi
done

# A test that fails without a mutant would kill every one.
declare -A sound=()
for name in "${applicable[@]}"; do
  binary=$(header binary "$name") filter=$(header 'killed by' "$name")
  [ -n "${sound[$binary/$filter]:-}" ] && continue
  build "$binary" || { cat "$work/build.log"; echo "the tree does not build"; exit 1; }
  run_test "$binary" "$filter" || { tail -n 40 "$work/test.log"; echo "$filter does not pass without a mutant"; exit 1; }
  sound[$binary/$filter]=1
done

killed=0
for name in "${applicable[@]}"; do
  binary=$(header binary "$name") filter=$(header 'killed by' "$name") begin=$SECONDS outcome=0
  (cd "$tree" && git apply "$here/$name.patch")
  if ! build "$binary"; then
    verdict=BROKEN
  else
    run_test "$binary" "$filter" || outcome=$?
    case $outcome in 0) verdict=SURVIVED ;; 1) verdict=killed ;; *) verdict=UNCLEAR ;; esac
  fi
  (cd "$tree" && git apply -R "$here/$name.patch")
  if [ $verdict = killed ]; then killed=$((killed + 1)); else
    failures=$((failures + 1))
    cp "$work/$([ $verdict = BROKEN ] && echo build || echo test).log" "$work/$name.log"
  fi
  printf '%-9s %-44s %3d s  %s\n' "$verdict" "$name" $((SECONDS - begin)) "$filter"
done
echo "$killed of ${#names[@]} mutants killed"
[ $failures -eq 0 ]
