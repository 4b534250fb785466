// Any bytes as a log: every fact read must be finite and bounded, and feeding lines one by one must read the same.
#include <cmath>
#include <cstdint>
#include <cstdlib>

#include "catalog/engine_log.h"

namespace {

void check(const std::optional<kvroof::Reading>& reading) {
  if (reading && !(std::isfinite(reading->value) && reading->half_step >= 0)) std::abort();
}
void check(const std::optional<kvroof::i64>& count) {
  if (count && (*count < 0 || *count > 1'000'000'000'000'000)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  kvroof::EngineLog log = kvroof::read_engine_log(text);
  for (const auto& reading : {log.total, log.free_at_start, log.free_after_load, log.requested, log.concurrency,
                              log.parameters, log.bits_per_weight, log.model_size})
    check(reading);
  for (const auto& count : {log.blocks, log.tokens, log.attention_block, log.concurrency_context, log.n_ctx,
                            log.arguments.max_context, log.arguments.tp, log.arguments.block_tokens})
    check(count);
  for (const kvroof::LogRank& rank : log.ranks)
    for (const auto& reading : {rank.weights, rank.activation, rank.non_torch, rank.graphs, rank.room}) check(reading);
  for (const kvroof::LogCache& cache : log.caches) {
    for (const auto& reading : {cache.key, cache.value, cache.total}) check(reading);
    check(cache.tokens);
  }
  if (log.ranks.size() > 1024 || log.caches.size() > 64 || log.failures.size() > 32) std::abort();
  if (log.arguments.model.size() > 512) std::abort();
  kvroof::tightest_rank(log);
  return 0;
}
