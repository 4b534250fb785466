#!/usr/bin/env bash
# Measures this machine for reports/microkernel.md: the text above "## The run" stays, the command's own output follows.
set -euo pipefail
cd "$(dirname "$0")/.."
kvroof=${1:-build/release/kvroof}
name=${2:?usage: tests/update_microkernel.sh [KVROOF] MACHINE, such as epyc-milan-2-vcpu}
$kvroof measure --format markdown -o microkernel.run --record "reports/measured/$name.json" --chart reports/microkernel.svg
{
  sed '/^## The run/,$d' reports/microkernel.md
  printf '## The run\n\n'
  sed 's/^#\{1,\} /### /' microkernel.run
} >microkernel.new
mv microkernel.new reports/microkernel.md
rm microkernel.run
