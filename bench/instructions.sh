#!/usr/bin/env bash
# Instructions of one full estimate and of a whole run of `kvroof estimate`, counted by callgrind: nearly the same on
# every machine and whatever else it is doing. Of an estimate two runs of different length are taken; what is common to
# both (start-up, reading specs) falls out. The bounds are loose: twice what was counted when they were set. Exit 1 where
# one is passed.
#
#   ninja -C build/release kvroof kvroof_count && bench/instructions.sh [build/release]
set -euo pipefail
build=${1:-$(dirname "$0")/../build/release}
command -v valgrind >/dev/null || { echo "valgrind is not installed: apt install valgrind" >&2; exit 2; }

counted() {
  valgrind --tool=callgrind --callgrind-out-file=/dev/null "$@" 2>&1 >/dev/null | sed -n 's/.*Collected : //p'
}

status=0
while read -r kind bound; do
  few=$(counted "$build/kvroof_count" "$kind" 1920)
  many=$(counted "$build/kvroof_count" "$kind" 11520)
  each=$(((many - few) / 9600))
  printf '%-9s %6d instructions an estimate, at most %d\n' "$kind" "$each" "$bound"
  [ "$each" -le "$bound" ] || status=1
done <<'BOUNDS'
batches 2600
mixture 3600
contexts 5400
layouts 4200
BOUNDS
start=$(counted "$build/kvroof" estimate llama-3.1-8b h100-sxm)
printf '%-9s %6d thousand instructions from start to answer, at most 10000\n' estimate $((start / 1000))
[ "$start" -le 10000000 ] || status=1
exit $status
