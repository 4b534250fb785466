#!/usr/bin/env bash
# Rewrites the console blocks of README.md and docs/*.md with what the program prints now; read the diff before you
# commit it.
set -euo pipefail
cd "$(dirname "$0")/.."
kvroof=${1:-build/release/kvroof}

blocks_of() {
  local inside=0 line
  while IFS= read -r line; do
    if [ "$line" = '```console' ]; then inside=1; fi
    if [ "$line" = '```' ]; then inside=0; fi
    if [ $inside -eq 1 ] && [ "${line:0:2}" = '$ ' ]; then
      printf '%s\n' "$line"
      arguments=${line#*kvroof }
      COLUMNS=80 NO_COLOR=1 eval "$kvroof $arguments" 2>&1 || true  # quotes mean what they mean in a shell
    elif [ $inside -eq 0 ] || [ "$line" = '```console' ]; then
      printf '%s\n' "$line"
    fi
  done <"$1" >"$1.new"
  mv "$1.new" "$1"
}

for page in README.md docs/*.md; do blocks_of "$page"; done
