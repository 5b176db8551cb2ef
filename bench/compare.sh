#!/usr/bin/env bash
# Measures two builds in turns on this machine and writes docs/performance.md anew.
#
#   bench/compare.sh COMMIT [ROUNDS]
#
# COMMIT is the baseline: it is checked out and built beside this checkout, under .brokerx/compare. The same benchmark,
# this checkout's, measures both, each on a system that begins with empty logs and ends after its round. A round takes
# some five minutes.
#
#   PROCESSORS="1 2"   measures with so many processors as well (taskset); all of them without
#   SECONDS_EACH=15    seconds of each latency
#   HTTP_RATES=300,600,1200
#   DRAINED=60000      orders that are drained
set -euo pipefail

baseline=${1:?usage: bench/compare.sh COMMIT [ROUNDS]}
rounds=${2:-3}
root=$(cd "$(dirname "$0")/.." && pwd)
work=$root/.brokerx/compare
tree=$work/baseline
commit=$(git -C "$root" rev-parse --short "$baseline^{commit}")
processors=${PROCESSORS:-$(nproc)}
measured=$work/rounds-$(date +%Y%m%d-%H%M%S).jsonl

mkdir -p "$work"
if [ -d "$tree" ]; then
  git -C "$tree" checkout --quiet --detach "$commit"
else
  git -C "$root" worktree add --quiet --detach "$tree" "$commit"
fi
for checkout in "$tree" "$root"; do
  (cd "$checkout" && cargo build --release --locked --workspace --bins)
done
# The same measure for both; it is newer than the sources there, so that nothing builds it again.
cp "$root/target/release/brokerx-bench" "$tree/target/release/brokerx-bench"

# What runs now, so that it is ended whatever happens.
running=
end() {
  if [ -n "$running" ]; then
    "$running/brokerx" --home "$work/home" down --wipe >"$work/down.log" 2>&1 || cat "$work/down.log" >&2
  fi
  running=
}
trap end EXIT

# Measures one build with so many processors, on empty logs; what it has downloaded stays.
measure() {
  local checkout=$1 name=$2 count=$3
  local on=(taskset --cpu-list "0-$((count - 1))")
  running=$checkout
  "${on[@]}" "$checkout/brokerx" --home "$work/home" up --detach --port-offset 3000
  "${on[@]}" "$checkout/brokerx" --home "$work/home" bench --home "$work/home" --rounds 1 \
    --seconds "${SECONDS_EACH:-15}" --http-rate "${HTTP_RATES:-300,600,1200}" --drained-orders "${DRAINED:-60000}" \
    --build "$name" --append-to "$measured" ||
    echo "a round of $name on $count processors was not measured to its end" >&2
  end
}

for round in $(seq "$rounds"); do
  for count in $processors; do
    echo "== round $round of $rounds, $count processors: $commit"
    measure "$tree" "$commit" "$count"
    echo "== round $round of $rounds, $count processors: this checkout"
    measure "$root" "this checkout" "$count"
  done
done
"$root/target/release/brokerx-report" --baseline "$commit" --out "$root/docs/performance.md" "$measured"
echo "docs/performance.md is written; the rounds are in $measured"
