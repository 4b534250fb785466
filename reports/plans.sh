#!/usr/bin/env bash
# Writes reports/plans.md: what to run five models on for the same 200 users, over the whole catalogue.
set -euo pipefail
cd "$(dirname "$0")/.."
kvroof=${1:-build/release/kvroof}
wish=(--users 200 --input 8k --output 500 --tpot 40ms --ttft 3s --confidence p90 --max-devices 128)
{
  echo "# Plans: five models, the same 200 users"
  echo
  echo "Written by \`reports/plans.sh\`: \`kvroof plan MODEL ${wish[*]}\`, every device of the catalogue."
  echo "Prices are the catalogue's; \"wins below\" is the price of a device at which it would cost what the choice does."
  for model in llama-3.1-8b llama-3.3-70b deepseek-v3 gpt-oss-120b gemma-3-27b; do
    echo
    $kvroof plan "$model" "${wish[@]}" --format markdown || true
  done
} >reports/plans.md
