#!/usr/bin/env bash
# Builds the fuzz targets (clang, libFuzzer, address and undefined-behaviour sanitizers) and runs each for a while.
#
#   tests/fuzz/run.sh            a minute each
#   tests/fuzz/run.sh 600 gguf   ten minutes of one
#
# tests/fuzz/corpus holds a small corpus a target; what a run finds beyond it stays in build/fuzz.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
seconds=${1:-60}
targets=("${@:2}")
[ ${#targets[@]} -gt 0 ] || targets=(hf_config gguf safetensors engine_log catalogue measured units baseline scenarios settings arguments)
build=$here/build/fuzz
export CXX=${CXX:-clang++}
cmake -S "$here" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DKVROOF_TESTS=OFF -DKVROOF_FUZZ=ON \
  -DCMAKE_CXX_FLAGS="-O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all" >/dev/null
for target in "${targets[@]}"; do
  cmake --build "$build" --target "${target}_fuzz" >/dev/null
  mkdir -p "$build/found/$target"
  echo "== $target: $seconds s"
  "$build/tests/fuzz/${target}_fuzz" -max_total_time="$seconds" -rss_limit_mb=1024 -timeout=10 -print_final_stats=1 \
    -artifact_prefix="$build/found/" "$build/found/$target" "$here/tests/fuzz/corpus/$target" 2>&1 |
    grep -E "ERROR|Test unit|stat::(number_of_executed_units|new_units|peak_rss)|cov:" | tail -4
done
