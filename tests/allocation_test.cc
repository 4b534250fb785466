// What engines logged: integers from public logs, reproduced from the room for KV that the same log states.
// Sources per row: vLLM 0.19 logs of llm-d-planner PR#205; the other logs are named beside their rows.
#include "core/allocation.h"

#include <catch2/catch.hpp>

#include "catalog/catalog.h"

namespace kvroof {
namespace {

constexpr double GiB = 1024.0 * 1024 * 1024;

struct Logged {
  const char* model;
  double room_gib;  ///< as logged, two decimals
  i64 context, tp, pp, stage, batched_tokens;
  bool prefix_caching;
  const char* kv_format;
  i64 tokens;          ///< "GPU KV cache size"
  double concurrency;  ///< "Maximum concurrency"; 0 when not in the log
};

/// The logged figure lies between those of the room half a digit lower and higher.
void check_interval(const Logged& row) {
  Model m = Catalog::built_in().model(row.model);
  Engine e = Catalog::built_in().engine("vllm");
  Deployment d;
  d.tp = row.tp;
  d.pp = row.pp;
  d.batched_tokens = row.batched_tokens;
  d.prefix_caching = row.prefix_caching;
  d.cache.key = d.cache.value = format(row.kv_format);
  Workload w{row.context, 1, 0};
  Allocation low = allocate(m, d, w, e, row.stage, {(row.room_gib - 0.005) * GiB});
  Allocation high = allocate(m, d, w, e, row.stage, {(row.room_gib + 0.005) * GiB});
  INFO(row.model << " at " << row.room_gib << " GiB: " << low.max_tokens << " to " << high.max_tokens);
  CHECK(low.max_tokens <= row.tokens);
  CHECK(row.tokens <= high.max_tokens);
  if (row.concurrency > 0) {
    CHECK(low.concurrency <= row.concurrency + 0.005);
    CHECK(row.concurrency - 0.005 <= high.concurrency);
  }
}

TEST_CASE("vLLM: tokens and concurrency of public logs") {
  const Logged rows[] = {
      {"llama-3.1-8b", 58.11, 4096, 1, 1, 0, 8192, false, "bf16", 476016, 116.21},
      {"llama-3.1-8b", 68.89, 8192, 1, 4, 3, 8192, false, "bf16", 2257264, 0},
      {"deepseek-v2-lite", 43.61, 8192, 1, 1, 0, 8192, false, "bf16", 1505552, 183.78},
      {"llama-3.3-70b", 54.09, 8192, 4, 1, 0, 8192, false, "bf16", 708992, 86.55},
      {"gemma-3-12b", 47.72, 8192, 1, 1, 0, 8192, false, "bf16", 130304, 0},
      {"gemma-3-27b", 19.53, 8192, 1, 1, 0, 8192, false, "bf16", 36560, 4.46},
      {"gpt-oss-20b", 59.32, 8192, 2, 1, 0, 8192, false, "bf16", 2591776, 316.07},
  };
  for (const Logged& row : rows) check_interval(row);
}

TEST_CASE("vLLM hybrids: the attention block stretches over a state's page") {
  struct {
    const char* model;
    i64 tp;
    const char* format;
    i64 block;
  } rows[] = {{"qwen3.5-4b", 1, "bf16", 528}, {"qwen3.5-122b-a10b", 1, "fp8", 4176}};
  for (const auto& row : rows) {
    Deployment d;
    d.tp = row.tp;
    d.cache.key = d.cache.value = format(row.format);
    Allocation a = allocate(Catalog::built_in().model(row.model), d, {1024, 1, 0}, Catalog::built_in().engine("vllm"),
                            0, {12.85 * GiB});
    INFO(row.model);
    CHECK(a.groups.back().block_tokens == row.block);
  }
}

TEST_CASE("vLLM from 0.21: Qwen3.5-4B with 12.85 GiB holds 797 blocks, 159.4 requests of 1024 tokens") {
  Allocation a = allocate(Catalog::built_in().model("qwen3.5-4b"), {}, {1024, 1, 0},
                          Catalog::built_in().engine("vllm-0.21"), 0, {12.85 * GiB});
  CHECK(a.blocks == 797);
  CHECK(a.concurrency == Approx(159.40));
  CHECK(a.max_tokens == 163225);
}

TEST_CASE("SGLang: DeepSeek-V3 with 69.97756958 GiB holds 1,069,242 tokens") {
  Allocation a = allocate(Catalog::built_in().model("deepseek-v3"), {}, {4096, 1, 0},
                          Catalog::built_in().engine("sglang"), 0, {69.97756958 * GiB});
  CHECK(a.max_tokens == 1069242);
}

TEST_CASE("llama.cpp: cells of 256, windows with one micro-batch, f32 states") {
  Engine e = Catalog::built_in().engine("llamacpp");
  Deployment d;
  d.batched_tokens = 512;
  Allocation oss = allocate(Catalog::built_in().model("gpt-oss-20b"), d, {131072, 1, 0}, e, 0, {1e12});
  CHECK(oss.groups[0].per_sequence.value == 18 * 1024 * 1024.0);    // 768 cells of 12 layers
  CHECK(oss.groups[1].per_sequence.value == 3072 * 1024 * 1024.0);  // full layers
  d.cache.key = d.cache.value = format("q8_0");
  Allocation r1 = allocate(Catalog::built_in().model("deepseek-r1"), d, {41000, 1, 0}, e, 0, {1e12});
  CHECK(r1.per_sequence.value / 1048576 == Approx(1467.40).margin(0.01));  // 41,216 cells
}

TEST_CASE("TensorRT-LLM rounds up to whole blocks") {
  Engine e = Catalog::built_in().engine("trtllm");
  Model m = Catalog::built_in().model("llama-2-7b");
  Allocation a = allocate(m, {}, {4096, 1, 0}, e, 0, {100.5 * 32 * 524288});
  CHECK(a.blocks == 101);
  CHECK(a.max_tokens == 101 * 32);
}

}  // namespace
}  // namespace kvroof
