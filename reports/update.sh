#!/usr/bin/env bash
# Writes reports/validation.md and its chart: what `validate` says of the tables in reports/measured.
#
#   reports/update.sh build/release/kvroof           write them
#   reports/update.sh build/release/kvroof --check   exit 1 when they would change
set -euo pipefail
cd "$(dirname "$0")/.."
kvroof=$1
page=$(mktemp) chart=$(mktemp)
trap 'rm -f "$page" "$chart"' EXIT
{
  cat reports/validation_head.md
  "$kvroof" validate reports/measured/{kv_memory,decode_attention,linears,all_reduce,decode,moe_serving}.csv \
    --format markdown --worst 25 --chart "$chart"
} >"$page"
if [ "${2:-}" = --check ]; then
  diff -u reports/validation.md "$page" && diff -q reports/validation.svg "$chart"
else
  cp "$page" reports/validation.md
  cp "$chart" reports/validation.svg
fi
