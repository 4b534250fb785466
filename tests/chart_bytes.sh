#!/bin/sh
# Draws every chart with two builds and compares bytes:
#   tests/chart_bytes.sh build-gcc/kvroof build-clang-O0/kvroof
set -eu
a=$(mktemp) b=$(mktemp)
trap 'rm -f "$a" "$b"' EXIT
drawn=0
for chart in $("$1" chart list --format csv | sed 1d | cut -d, -f1); do
  for form in svg csv; do
    "$1" chart "$chart" --format $form >"$a"
    "$2" chart "$chart" --format $form >"$b"
    cmp "$a" "$b" || { echo "$chart: $form differs" >&2; exit 1; }
    drawn=$((drawn + 1))
  done
done
echo "$drawn outputs, same bytes"
