#!/usr/bin/env bash
# Instructions of one full estimate, counted by callgrind: the same on every machine and whatever else it is doing.
# Two runs of different length; what is common to both (start-up, reading specs) falls out. The bounds are loose: twice
# what was counted when they were set. Exit 1 where one is passed.
#
#   ninja -C build/release kvroof_count && bench/instructions.sh [build/release/kvroof_count]
set -euo pipefail
bench=${1:-$(dirname "$0")/../build/release/kvroof_count}
command -v valgrind >/dev/null || { echo "valgrind is not installed: apt install valgrind" >&2; exit 2; }

counted() {  # kind, points
  valgrind --tool=callgrind --callgrind-out-file=/dev/null "$bench" "$1" "$2" 2>&1 >/dev/null |
    sed -n 's/.*Collected : //p'
}

status=0
while read -r kind bound; do
  few=$(counted "$kind" 1920)
  many=$(counted "$kind" 11520)
  each=$(((many - few) / 9600))
  printf '%-9s %6d instructions an estimate, at most %d\n' "$kind" "$each" "$bound"
  [ "$each" -le "$bound" ] || status=1
done <<'BOUNDS'
batches 3000
mixture 4000
contexts 9000
layouts 5000
BOUNDS
exit $status
