// How fast the estimator and the measured kernel are, each alone: estimates a second and core, bytes of cache a second.
//
//   kvroof_bench                                 all
//   kvroof_bench --benchmark_filter=estimate     those alone
//
// A machine shared with others is slower from one minute to the next: compare ratios within a run.
#include <benchmark/benchmark.h>

#include "estimate_kinds.h"
#include "measure/kernel.h"
#include "measure/kv_cache.h"
#include "measure/limits.h"

namespace {

using namespace kvroof;

void estimates(benchmark::State& state, const Kind& kind) {
  constexpr i64 points = 1920;
  SweepSpecs specs = specs_of(kind);
  for (auto _ : state) benchmark::DoNotOptimize(estimate(specs, points));
  state.SetItemsProcessed(state.iterations() * points);
}

/// One decode step after another, each over a cache of its own, until all of `walked` bytes were read: none is cached.
void attention(benchmark::State& state, const AttentionShape& shape) {
  constexpr i64 walked = i64(256) << 20;
  Team team(limits_of_process().cpus);
  std::vector<std::int32_t> blocks = block_table(shape, 1);
  i64 each = (extent_of(shape).bytes() + 4095) / 4096 * 4096, copies = std::max<i64>(1, walked / each);
  AlignedVector<std::byte> memory(std::size_t(each * copies));
  for (i64 i = 0; i < copies; ++i) fill(shape, memory.data() + i * each, blocks, unsigned(i));
  std::vector<float> queries = make_queries(shape, 1), out(std::size_t(shape.query_heads() * shape.value_dim));
  AttentionKernel kernel(shape, team.size());
  i64 next = 0;
  for (auto _ : state) {
    kernel.run(view_of(shape, memory.data() + next * each, blocks), queries, out, team);
    next = (next + 1) % copies;
  }
  state.SetBytesProcessed(state.iterations() * i64(cache_bytes(shape).value));
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<Kind> all = kinds();
  for (const Kind& kind : all)
    benchmark::RegisterBenchmark((std::string("estimate/") + kind.name).c_str(),
                                 [&kind](benchmark::State& state) { estimates(state, kind); });
  auto shape = [](i64 kv_heads, i64 group, const char* name) {
    AttentionShape s{.kv_heads = kv_heads, .group = group, .context = 4096};
    s.format = format(name);
    return s;
  };
  for (const AttentionShape& s : {shape(32, 1, "bf16"), shape(4, 8, "bf16"), shape(1, 32, "bf16"), shape(32, 1, "fp16"),
                                  shape(32, 1, "int8"), shape(32, 1, "q8_0"), latent_shape(16, 4096, format("bf16"))})
    benchmark::RegisterBenchmark(("attention/" + name_of(s)).c_str(), [s](benchmark::State& state) {
      attention(state, s);
    })->UseRealTime();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
}
