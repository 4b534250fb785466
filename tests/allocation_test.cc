// What engines logged: integers from public logs, reproduced from the room for KV that the same log states, and
// the rules behind them one by one. Sources of the logs: the `source` column of reports/measured/kv_memory.csv.
#include "core/allocation.h"

#include <catch2/catch.hpp>

#include "catalog/catalog.h"
#include "core/cache_type.h"
#include "core/memory.h"

namespace kvroof {
namespace {

constexpr double GiB = 1024.0 * 1024 * 1024;
constexpr double MiB = 1024.0 * 1024;

Model model(const char* id) { return Catalog::built_in().model(id); }
Engine engine(const char* id) { return Catalog::built_in().engine(id); }

Deployment cached_as(const char* format_name) {
  Deployment d;
  d.cache.key = d.cache.value = format(format_name);
  return d;
}

/// Keys and values of all pools for `tokens` tokens and `sequences` sequences.
Bytes keys_and_values(const Model& m, const Deployment& d, const Engine& e, i64 tokens, i64 sequences = 1) {
  Bytes sum;
  for (const CachePool& p : pools(m, d, e, 0, tokens, sequences)) sum += p.key + p.value + p.index;
  return sum;
}
Bytes states(const Model& m, const Deployment& d, const Engine& e, i64 sequences = 1) {
  Bytes sum;
  for (const CachePool& p : pools(m, d, e, 0, 1, sequences)) sum += p.conv + p.state;
  return sum;
}

// ---- vLLM ----------------------------------------------------------------------------------------------

struct Logged {
  const char* model;
  double room_gib;  ///< as logged, two decimals
  i64 context, tp, pp, stage, batched_tokens;
  const char* kv_format;
  i64 tokens;          ///< "GPU KV cache size"
  double concurrency;  ///< "Maximum concurrency"; 0 when not in the log
};

/// The logged figure lies between those of the room half a digit lower and higher.
void check_interval(const Logged& row) {
  Deployment d = cached_as(row.kv_format);
  d.tp = row.tp;
  d.pp = row.pp;
  d.batched_tokens = row.batched_tokens;
  auto at = [&](double room) {
    return allocate(model(row.model), d, {row.context, 1, 0}, engine("vllm"), row.stage, {room * GiB});
  };
  Allocation low = at(row.room_gib - 0.005), high = at(row.room_gib + 0.005);
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
      {"llama-3.1-8b", 58.11, 4096, 1, 1, 0, 8192, "bf16", 476016, 116.21},
      {"llama-3.1-8b", 42.80, 8192, 1, 1, 0, 8192, "f32", 175296, 21.40},  // --dtype float32 widens the cache too
      {"llama-3.1-8b", 68.89, 8192, 1, 4, 3, 8192, "bf16", 2257264, 0},    // the last of four stages
      {"deepseek-v2-lite", 43.61, 8192, 1, 1, 0, 8192, "bf16", 1505552, 183.78},
      {"moonlight-16b-a3b", 54.78, 8192, 2, 1, 0, 8192, "bf16", 1890896, 230.82},  // a latent is replicated by tp
      {"llama-3.3-70b", 54.09, 8192, 4, 1, 0, 8192, "bf16", 708992, 86.55},
      {"llama-4-scout-17b-16e", 16.75, 8192, 4, 1, 0, 8192, "bf16", 365968, 44.68},
      {"gemma-3-12b", 47.72, 8192, 1, 1, 0, 8192, "bf16", 130304, 15.88},
      {"gemma-3-27b", 19.53, 8192, 1, 1, 0, 8192, "bf16", 36560, 4.46},  // 7 groups of 10, 8 layers of padding
      {"gemma-4-31b", 24.54, 8192, 1, 1, 0, 8192, "bf16", 26800, 0},
      {"gemma-4-26b-a4b", 51.62, 131072, 1, 1, 0, 2048, "fp8", 451040, 33.42},  // full layers' blocks hold 32 tokens
      {"gpt-oss-20b", 59.32, 8192, 2, 1, 0, 8192, "bf16", 2591776, 316.07},
  };
  for (const Logged& row : rows) check_interval(row);
}

TEST_CASE("vLLM hybrids: blocks, tokens and concurrency to the last digit") {
  struct {
    const char* model;
    const char* engine;
    const char* format;
    double room_gib;
    i64 context, tp;
    bool prefixes;
    i64 draft;  ///< tokens, by one layer
    i64 block, blocks, tokens;
    double concurrency;
  } rows[] = {
      {"qwen3.5-4b", "vllm-0.21", "bf16", 12.85, 1024, 1, false, 0, 528, 797, 163225, 159.40},
      {"qwen3.6-35b-a3b", "vllm-0.21", "fp8", 5.98, 131072, 1, true, 0, 2096, 299, 567978, 4.33},
      {"qwen3.6-35b-a3b", "vllm-0.21", "fp8", 6.01, 131072, 1, true, 0, 2096, 300, 569878, 4.35},
      {"qwen3.8-27b", "vllm-0.21", "fp8", 4.99, 131072, 2, true, 0, 1568, 208, 302921, 2.31},
      {"qwen3.5-122b-a10b", "vllm", "fp8", 21.43, 131072, 1, true, 0, 4176, 448, 467712, 11.79},
      {"qwen3.5-122b-a10b", "vllm", "fp8", 24.05, 262144, 1, true, 1, 4192, 462, 482080, 6.42},
  };
  for (const auto& row : rows) {
    Deployment d = cached_as(row.format);
    d.tp = row.tp;
    d.prefix_caching = row.prefixes;
    d.draft_tokens = d.draft_layers = row.draft;
    Allocation a = allocate(model(row.model), d, {row.context, 1, 0}, engine(row.engine), 0, {row.room_gib * GiB});
    INFO(row.model << " with " << row.room_gib << " GiB");
    CHECK(a.groups.back().block_tokens == row.block);
    CHECK(a.blocks == row.blocks);
    CHECK(a.max_tokens == row.tokens);
    CHECK(a.concurrency == Approx(row.concurrency).margin(0.005));
  }
}

TEST_CASE("vLLM hybrids: an attention block spans a state's page, whose format is the model's") {
  struct {
    const char* model;
    const char* format;
    i64 tp, block;
  } rows[] = {{"qwen3.5-9b", "bf16", 1, 528},
              {"qwen3.5-9b", "fp8", 1, 1056},
              {"qwen3.5-27b", "bf16", 1, 784},
              {"qwen3-next-80b-a3b", "bf16", 2, 544},
              {"nemotron-nano-9b-v2", "bf16", 1, 672}};
  for (const auto& row : rows) {
    Deployment d = cached_as(row.format);
    d.tp = row.tp;
    Allocation a = allocate(model(row.model), d, {1024, 1, 0}, engine("vllm"), 0, {GiB});
    INFO(row.model);
    CHECK(a.groups.back().block_tokens == row.block);
  }
}

TEST_CASE("vLLM: layers that differ only in width share one block and are not padded") {
  Model m = model("llama-3.1-8b");
  LayerGroup narrow = m.layers[0];
  m.layers[0].count = 30;
  narrow.count = 2;
  heads_of(narrow.attention)->kv = 1;
  m.layers.push_back(narrow);
  Allocation a = allocate(m, {}, {8192, 1, 0}, engine("vllm"), 0, {GiB});
  double token = 30 * 4096.0 + 2 * 512.0;
  CHECK(a.block.value == 16 * token);
  CHECK(a.blocks == i64(GiB / (16 * token)));
  CHECK(a.max_tokens == 16 * a.blocks);
  CHECK(a.groups[0].padding + a.groups[1].padding == 0);
}

TEST_CASE("sparse MLA: 656 bytes of packed fp8 latent and 132 of index a token and layer") {
  for (const char* e : {"vllm", "sglang"}) {
    std::vector<CacheType> types = cache_types(model("deepseek-v3.2"), cached_as("fp8"), engine(e), 0);
    REQUIRE(types.size() == 1);
    CHECK(types[0].layers == 61);
    CHECK(types[0].per_token().value == 656 + 132);
  }
  CHECK(cache_types(model("deepseek-v3"), cached_as("fp8"), engine("vllm"), 0)[0].per_token().value == 576);
}

// ---- SGLang and TensorRT-LLM ---------------------------------------------------------------------------

TEST_CASE("SGLang: DeepSeek-V3 with 69.97756958 GiB holds 1,069,242 tokens") {
  Allocation a = allocate(model("deepseek-v3"), {}, {4096, 1, 0}, engine("sglang"), 0, {69.97756958 * GiB});
  CHECK(a.max_tokens == 1069242);
}

TEST_CASE("SGLang: pools by kind, with a page to spare and no sharing between layers") {
  std::vector<CachePool> gemma = pools(model("gemma-4-e4b"), cached_as("nvfp4"), engine("sglang"), 0, 2849848, 1);
  REQUIRE(gemma.size() == 2);
  CHECK(gemma[0].layers + gemma[1].layers == 42);
  for (const CachePool& p : gemma) {
    CHECK(p.slots == (p.limit > 0 ? 2279878 + 1 : 2849848 + 1));  // 0.8 of the full pool's tokens
    CHECK(p.key.value / GiB == Approx(p.limit > 0 ? 21.40 : 10.70).margin(0.005));
  }
  Deployment d;
  d.tp = 4;
  Engine paged = engine("sglang");
  paged.block_tokens = 64;  // --page-size
  for (const CachePool& p : pools(model("mimo-v2-flash"), d, paged, 0, 375360, 1)) {
    if (p.limit == 0) continue;
    CHECK(p.key.value / GiB == Approx(8.38).margin(0.005));
    CHECK(p.value.value / GiB == Approx(5.59).margin(0.005));
  }
}

TEST_CASE("TensorRT-LLM: whole blocks rounded up, values as wide as keys") {
  Engine e = engine("trtllm");
  Allocation a = allocate(model("llama-2-7b"), {}, {4096, 1, 0}, e, 0, {100.5 * 32 * 524288});
  CHECK(a.blocks == 101);
  CHECK(a.max_tokens == 101 * 32);
  CHECK(keys_and_values(model("llama-2-7b"), {}, e, 132608).value == 69524783104.0);
  for (const CacheType& t : cache_types(model("mimo-v2-flash"), {}, e, 0)) CHECK(t.key == t.value);
}

// ---- llama.cpp -----------------------------------------------------------------------------------------

TEST_CASE("llama.cpp: cells of 256, windows with one micro-batch") {
  Engine e = engine("llamacpp");
  Deployment d;
  d.batched_tokens = 512;
  std::vector<CachePool> oss = pools(model("gpt-oss-20b"), d, e, 0, 131072, 1);
  CHECK(oss[0].slots == 768);
  CHECK(oss[0].total().value == 18 * MiB);
  CHECK(oss[1].total().value == 3072 * MiB);
  d.batched_tokens = 2048;
  for (const CachePool& p : pools(model("gemma-4-12b"), d, e, 0, 8192, 4))  // four slots share one cache
    CHECK(p.total().value == (p.limit > 0 ? 1920 : 128) * MiB);
  CHECK(keys_and_values(model("deepseek-r1"), cached_as("q8_0"), e, 41000).value / MiB == Approx(1467.40).margin(0.01));
  Deployment mixed = cached_as("q8_0");
  mixed.cache.value = format("q4_0");
  CHECK(keys_and_values(model("nemotron-ultra-253b"), mixed, e, 12288).value == 1248 * MiB);
}

TEST_CASE("llama.cpp: slots with a stream each are padded by themselves") {
  Engine e = engine("llamacpp");
  Deployment d;
  CHECK(pools(model("llama-3.1-8b"), d, e, 0, 1024, 3)[0].slots == 1024);
  d.unified = false;
  CHECK(pools(model("llama-3.1-8b"), d, e, 0, 1024, 3)[0].slots == 1536);
}

TEST_CASE("llama.cpp: a window of more than half the context is still a window") {
  // 1,536 cells and a micro-batch of 256 of the 4,096; with a window of 4,096 all of them
  Deployment d;
  d.batched_tokens = 256;
  Model m = model("llama-3.1-8b");
  for (auto [window, cells] : {std::pair<i64, i64>{1536, 1792}, {2560, 2816}, {4096, 4096}}) {
    m.layers[0].attention = SlidingAttention{{32, 8, 128, 128}, window};
    CHECK(pools(m, d, engine("llamacpp"), 0, 4096, 1)[0].slots == cells);
  }
}

TEST_CASE("llama.cpp: what fits to the byte fits") {
  // 32 layers x 2 x 8 heads x 128 x 2 bytes = 131,072 a token
  for (double count : {1, 2, 3, 5, 7, 100}) {
    auto held = [&](double bytes) {
      return allocate(model("llama-3.1-8b"), {}, {4096, 1, 0}, engine("llamacpp"), 0, {bytes}).max_sequences;
    };
    CHECK(double(held(count * 4096 * 131072)) == count);
    CHECK(
        allocate(model("llama-3.1-8b"), {}, {4096, 1, 0}, engine("llamacpp"), 0, {count * 4096 * 131072}).used.value ==
        count * 4096 * 131072);
    CHECK(double(held(count * 4096 * 131072 - 1)) == count - 1);
  }
}

TEST_CASE("SGLang: a part of a byte buys no token") {
  auto tokens = [&](double bytes) {
    return allocate(model("llama-3.1-8b"), {}, {4096, 1, 0}, engine("sglang"), 0, {bytes}).max_tokens;
  };
  CHECK(tokens(1000 * 131072.0) == 1000);
  CHECK(tokens(1000 * 131072.0 - 0.5) == 999);
}

TEST_CASE("llama.cpp: a stream each has its own window, a unified cache all of theirs") {
  Deployment d;
  d.batched_tokens = 512;
  Model m = model("llama-3.1-8b");
  m.layers[0].attention = SlidingAttention{{32, 8, 128, 128}, 1024};
  for (bool unified : {false, true}) {
    d.unified = unified;
    CHECK(pools(m, d, engine("llamacpp"), 0, 3 * 4096, 3)[0].slots == (unified ? 3 * 1024 + 512 : 3 * (1024 + 512)));
  }
}

TEST_CASE("vLLM: concurrency is that of its log, which knows of no prefix in common") {
  Allocation a = allocate(model("llama-3.1-8b"), {}, {4096, 8, 1024}, engine("vllm"), 0, {1000 * 16 * 131072.0});
  CHECK(a.blocks == 1000);
  CHECK(a.concurrency == Approx(1000 / 256.0));
  CHECK(a.max_sequences == (1000 - 1 - 64) / 192);  // a block is kept empty
}

TEST_CASE("vLLM: of a hybrid's groups those of full layers hold a prefix in common once") {
  // gemma-3-27b: 10 full layers are one group of 10, 52 with windows six more
  auto held = [](i64 prefix) {
    return allocate(model("gemma-3-27b"), {}, {8192, 8, prefix}, engine("vllm"), 0, {2e10});
  };
  Allocation own = held(0), common = held(1024);
  REQUIRE(own.groups.size() == 2);
  CHECK(own.blocks_per_sequence - common.blocks_per_sequence == 1024 / 16);
  CHECK(common.max_sequences == (common.blocks - 1 - 1024 / 16) / common.blocks_per_sequence);
  CHECK(common.concurrency == Approx(own.concurrency));
}

TEST_CASE("llama.cpp: windowed layers take the cache's format, as full ones do") {
  i64 cells = 1024 + 512;
  auto window_bytes = [&](const char* format) {
    Deployment d = cached_as(format);
    d.batched_tokens = 512;
    for (const CachePool& p : pools(model("gemma-3-12b"), d, engine("llamacpp"), 0, 8192, 1))
      if (p.limit > 0) return p.total().value / (double(cells) * 40 * 2 * 8 * 256);
    return 0.0;
  };
  CHECK(window_bytes("q8_0") == 34 / 32.0);
  CHECK(window_bytes("bf16") == 2);
}

TEST_CASE("ik_llama.cpp keeps every token of windowed layers") {
  CHECK(keys_and_values(model("gemma-3-27b"), {}, engine("ik-llamacpp"), 131072).value == 63488 * MiB);
}

TEST_CASE("llama.cpp: f32 states per slot, again for each snapshot a draft may return to") {
  Engine e = engine("llamacpp");
  CHECK(states(model("mamba-2.8b"), {}, e).value == 23.75 * MiB);
  CHECK(states(model("mamba-codestral-7b"), {}, e).value == 263.5 * MiB);
  CHECK(states(model("falcon-mamba-7b"), {}, e).value == 38 * MiB);
  CHECK(states(model("qwen3.6-27b"), {}, e, 4).value == 598.5 * MiB);
  Deployment d;
  d.draft_tokens = 2;
  CHECK(states(model("qwen3.8-27b"), d, e).value == 448.875 * MiB);
}

TEST_CASE("llama.cpp: what an encoder left is there once, whatever a draft may return to") {
  // 32 layers of 4096 cells and 8 of 6404 tokens, 2 x 8 heads x 128 x 2 bytes each
  Deployment d;
  for (i64 drafted : {0, 2}) {
    d.draft_tokens = drafted;
    Allocation a = allocate(model("llama-3.2-11b-vision"), d, {4096, 1, 0}, engine("llamacpp"), 0, {1e12});
    CHECK(a.per_sequence.value == (32 * 4096 + 8 * 6404) * 4096.0);
  }
}

TEST_CASE("llama.cpp: a sequence takes its states with every snapshot; what is used is what fits") {
  // mamba-2.8b: 23.75 MiB of states a slot
  Deployment d;
  auto states_of = [&](Bytes room) {
    return allocate(model("mamba-2.8b"), d, {4096, 1, 0}, engine("llamacpp"), 0, room);
  };
  CHECK(states_of({100 * MiB}).max_sequences == 4);
  CHECK(states_of({100 * MiB}).used.value == 95 * MiB);
  CHECK(states_of({20 * MiB}).used.value == 0);
  d.draft_tokens = 2;
  CHECK(states_of({100 * MiB}).per_sequence.value == 71.25 * MiB);
  CHECK(states_of({100 * MiB}).max_sequences == 1);
}

TEST_CASE("TensorRT-LLM: states have no blocks") {
  Allocation a = allocate(model("mamba-2.8b"), {}, {4096, 1, 0}, engine("trtllm"), 0, {100 * MiB});
  CHECK(a.blocks_per_sequence == 0);
  CHECK(a.per_sequence == a.ideal_per_sequence);
  CHECK(a.max_sequences == 4);  // 23.75 MiB each
}

TEST_CASE("vLLM: the stages before the last hold one layer more") {
  // 11 layers x 2 x 8 heads x 128 x 2 bytes x 16 tokens = 720,896 bytes a block; the last stage has 10 layers
  Deployment d;
  d.pp = 3;
  auto blocks = [&](i64 stage) {
    return allocate(model("llama-3.1-8b"), d, {8192, 1, 0}, engine("vllm"), stage, {720896.0 * 1000}).blocks;
  };
  CHECK(blocks(0) == 1000);
  CHECK(blocks(1) == 1000);
  CHECK(blocks(2) == 1100);
}

TEST_CASE("the stage reported holds the fewest sequences, whatever the batch; what is missing is the most of any") {
  Model m;
  m.id = "tall";
  m.hidden = m.vocab = 1;
  m.encoder_weights = 400'000'000;  // 800 MB on the first stage
  m.layers.push_back({.count = 32, .attention = FullAttention{{1, 1, 64, 64}}, .projections = {}, .feed_forward = {}});
  Device device;
  device.memory = {{"HBM", {5e9}, {1e12}, {}, {}}};
  Deployment d;
  d.pp = 3;  // 10, 11 and 11 layers of 256 B a token
  Engine e = engine("ideal");
  i64 fewest = fit(m, device, d, {8192, 1, 0}, e).max_sequences;
  CHECK(fewest == 200);  // 4.2e9 / (10 * 256 * 8192); the other stages hold 216 in 5e9
  CHECK(fit(m, device, d, {8192, 4000, 0}, e).max_sequences == fewest);
  CHECK(fit(m, device, d, {8192, 4000, 0}, e).shortfall.value == Approx(4000 * 11 * 256 * 8192.0 - 5e9).epsilon(1e-6));
}

TEST_CASE("SGLang: three slots of states stand behind a request") {
  Deployment d;
  d.tp = 2;
  Allocation a = allocate(model("qwen3-next-80b-a3b"), d, {1024, 1, 0}, engine("sglang"), 0, {20 * GiB});
  CHECK(a.max_tokens == 919803);
  CHECK(a.max_sequences == 262 / 3);  // of the 262 slots that 9/19 of the room hold, less the spare one
}

TEST_CASE("states take the format their config names") {
  Model m = model("nemotron-h-56b");
  CHECK(formats_in(engine("vllm"), m, {}).state == format("bf16"));
  m.state_format = format("f32");
  CHECK(formats_in(engine("vllm"), m, {}).state == format("f32"));
  m.state_format = format("bf16");
  CHECK(formats_in(engine("sglang"), m, {}).state == format("bf16"));
  CHECK(formats_in(engine("llamacpp"), m, {}).state == format("f32"));  // always
}

TEST_CASE("layers that keep nothing never bind, whatever the engine's layout") {
  Model m = model("mamba-2.8b");
  for (LayerGroup& g : m.layers) {
    auto& state = std::get<RecurrentState>(g.attention);
    state.conv_elements = state.state_elements = 0;
  }
  for (const char* id : {"ideal", "vllm", "sglang", "trtllm", "llamacpp"})
    CHECK(allocate(m, {}, {8192, 1, 0}, engine(id), 0, {10 * GiB}).max_sequences == i64(9e18));
}

TEST_CASE("what H2O keeps is the same for every engine") {
  // a fifth of 8192 tokens is 1639: of 32 layers x 8 heads x (256 elements of 2 bytes + a score of 4)
  Deployment d;
  d.eviction = {EvictionKind::heavy_hitters, 4, 0, 0, 0.2};
  double token = 32 * 8 * (256 * 2 + 4);
  auto per_sequence = [&](const char* id) {
    return allocate(model("llama-3.1-8b"), d, {8192, 1, 0}, engine(id), 0, {10 * GiB}).per_sequence.value;
  };
  CHECK(per_sequence("ideal") == 1639 * token);
  CHECK(per_sequence("sglang") == 1639 * token);
  CHECK(per_sequence("vllm") == 1648 * token);      // blocks of 16
  CHECK(per_sequence("trtllm") == 1664 * token);    // of 32
  CHECK(per_sequence("llamacpp") == 1792 * token);  // cells in steps of 256
}

TEST_CASE("of a common prefix only what every sequence keeps is stored once") {
  // llama-3.1-8b: 32 x 8 x 256 x 2 B a token. Sinks 4 and a window of 2,044 keep 2,048 of 8,192 tokens.
  constexpr double token = 131072;
  Deployment d;
  d.eviction = {EvictionKind::streaming, 4, 2044, 0, 0};
  auto ideal = [&](i64 prefix) {
    return allocate(model("llama-3.1-8b"), d, {8192, 1, prefix}, engine("ideal"), 0, {10 * GiB});
  };
  CHECK(ideal(8000).shared.value == 1856 * token);  // the window reaches 1,852 tokens into it
  CHECK(ideal(8000).per_sequence.value == 192 * token);
  CHECK(ideal(1000).shared.value == 4 * token);  // nothing of it but the sinks is left
  CHECK(ideal(1000).per_sequence.value == 2044 * token);
  CHECK(ideal(3).per_sequence.value == 2045 * token);
  d.eviction = {EvictionKind::heavy_hitters, 4, 0, 1024, 0};  // each sequence looked at others
  CHECK(ideal(8000).shared.value == 0);
}

/// llama-3.1-8b with its last layers windowed, 4,096 tokens.
Model windowed(i64 full_layers) {
  Model m = model("llama-3.1-8b");
  LayerGroup g = m.layers[0];
  g.attention = SlidingAttention{std::get<FullAttention>(g.attention).heads, 4096};
  g.count = 32 - full_layers;
  m.layers[0].count = full_layers;
  m.layers.push_back(g);
  if (full_layers == 0) m.layers.erase(m.layers.begin());
  return m;
}

TEST_CASE("SGLang's windowed layers bind where the others evict or share") {
  Deployment d;
  d.eviction = {EvictionKind::streaming, 4, 60, 0, 0};
  Bytes room{131072.0 * 8192 * 3};
  CHECK(allocate(windowed(0), d, {8192, 1, 0}, engine("sglang"), 0, room).max_sequences == 3);  // no full layer evicts
  // 16 + 0.8 x 16 layers of 4,096 B: 27,306 tokens; 64 each, but 21,844 windowed ones hold five windows of 4,096
  Allocation a = allocate(windowed(16), d, {8192, 1, 0}, engine("sglang"), 0, room);
  CHECK(a.max_tokens == 27306);
  CHECK(a.max_sequences == 5);
  CHECK(a.concurrency == Approx(21844 / 4096.0));
  CHECK(allocate(windowed(16), {}, {8192, 1, 8192}, engine("sglang"), 0, room).max_sequences == 5);
  CHECK(allocate(windowed(16), {}, {8192, 1, 0}, engine("sglang"), 0, room).max_sequences == 3);  // 27,306 / 8,192
}

TEST_CASE("vLLM's pages hold the widest layers, an encoder's keys and values too") {
  // self-attention: 256 B a token; cross-attention: 1,024 B, so a page of 16 tokens is 16 KiB and 64 of the others
  Model m = model("llama-3.1-8b");
  m.layers[0].count = 1;
  m.layers[0].attention = FullAttention{{1, 1, 64, 64}};
  m.layers.push_back(m.layers[0]);
  m.layers[1].attention = CrossAttention{{2, 2, 128, 128}, 1500};
  Allocation a = allocate(m, {}, {4096, 1, 0}, engine("vllm"), 0, {10 * GiB});
  CHECK(a.blocks_per_sequence == 4096 / 64 + 94);  // 1,500 tokens in blocks of 16
  CHECK(a.per_sequence.value == (64 + 94) * 16384);
}

TEST_CASE("TensorRT-LLM's blocks by hand") {
  // llama-3.1-8b: 128 KiB a token, 4 MiB a block of 32; 1,000 blocks and a bit are 1,001
  Allocation a = allocate(model("llama-3.1-8b"), {}, {1000, 1, 0}, engine("trtllm"), 0, {1000.5 * 4 * MiB});
  CHECK(a.blocks == 1001);
  CHECK(a.max_tokens == 32032);
  CHECK(a.blocks_per_sequence == 32);
  CHECK(a.max_sequences == 31);
  CHECK(a.concurrency == Approx(1001 / 32.0));
  CHECK(a.used.value == 1001 * 4 * MiB);
  CHECK(allocate(model("llama-3.1-8b"), {}, {1000, 1, 0}, engine("trtllm"), 0, {1000 * 4 * MiB}).blocks == 1000);
  Allocation shared = allocate(model("llama-3.1-8b"), {}, {1000, 1, 320}, engine("trtllm"), 0, {1000 * 4 * MiB});
  CHECK(shared.shared.value == 10 * 4 * MiB);
  CHECK(shared.blocks_per_sequence == 22);
  CHECK(shared.max_sequences == 45);  // 990 / 22
  CHECK(shared.concurrency == Approx(45));
}

TEST_CASE("layouts without groups of layers pad none, and count tokens one by one") {
  for (const char* id : {"ideal", "sglang"}) {
    Allocation a = allocate(model("llama-3.1-8b"), {}, {1000, 1, 0}, engine(id), 0, {GiB});
    CAPTURE(id);
    REQUIRE(a.groups.size() == 1);
    CHECK(a.groups[0].padding == 0);
    CHECK(a.groups[0].block_tokens == 1);
  }
  CHECK(allocate(model("llama-3.1-8b"), {}, {1000, 1, 0}, engine("llamacpp"), 0, {GiB})
            .groups.at(0)
            .blocks_per_sequence == 0);
}

TEST_CASE("a prefix in common that fits no room, or just fits it") {
  // TensorRT-LLM: 10 blocks in common, 5 there
  CHECK(allocate(model("llama-3.1-8b"), {}, {1000, 1, 320}, engine("trtllm"), 0, {5 * 4 * MiB}).concurrency == 0);
  // SGLang: all 1,000 tokens of 128 KiB in common
  auto sequences = [&](double tokens) {
    return allocate(model("llama-3.1-8b"), {}, {1000, 1, 1000}, engine("sglang"), 0, {tokens * 131072}).max_sequences;
  };
  CHECK(sequences(1000) > i64(1e15));
  CHECK(sequences(999) == 0);
}

TEST_CASE("groups of data-parallel attention share what is missing") {
  Deployment d;
  d.tp = d.attention_dp = 2;
  Model m = model("llama-3.1-8b");
  Device device = Catalog::built_in().device("h100-sxm");
  Memory short_of = fit(m, device, d, {4096, 1000, 0}, engine("sglang"));
  REQUIRE(!short_of.fits);
  CHECK(short_of.shortfall.value == Approx(500 * short_of.kv_per_sequence.value - short_of.kv_room.value));
}

TEST_CASE("SGLang's slots and tokens by hand") {
  // 4 layers of 512 B a token, 4 states of 1 MiB; states take half of the room: 0.5 GiB
  Model m = model("llama-3.1-8b");
  m.layers[0].count = 4;
  m.layers[0].attention = FullAttention{{2, 1, 128, 128}};
  m.layers.push_back(m.layers[0]);
  m.layers[1].attention = RecurrentState{0, 1 << 18, 1, 0};
  Engine e = engine("sglang");
  e.state_ratio = 1;
  e.state_slots = 2;
  e.slots_per_request = 3;
  Deployment d;
  d.states_given = true;
  Allocation a = allocate(m, d, {1000, 1, 0}, e, 0, {GiB + 4 * 512 * 0.5});
  CHECK(a.max_tokens == 262144);  // 0.5 GiB and a part of a token
  CHECK(a.max_sequences == 42);   // 128 slots, 2 of them its own, 3 a request; tokens would do for 262
  CHECK(a.concurrency == 42);
  CHECK(a.used.value == 262144.0 * 2048 + 128 * 4 * MiB);
  CHECK(a.per_sequence.value == 1000.0 * 2048 + 4 * MiB);
  CHECK(a.ideal_per_sequence.value == 1000.0 * 2048 + 4 * MiB);
  e.slots_per_request = 1;
  CHECK(allocate(m, d, {10000, 1, 0}, e, 0, {GiB}).concurrency ==
        Approx(26.2144));  // tokens bind: a part of one counts
}

TEST_CASE("vLLM's groups by hand: full layers and half as many windows") {
  // pages of 16 tokens of 2 KiB; groups of 8 layers: 2 of full layers, 1 of windows. Batches of 8,192 tokens widen a
  // window.
  Model m = windowed(16);
  m.layers[1].count = 8;
  Allocation a = allocate(m, {}, {100'000, 1, 0}, engine("vllm"), 0, {10 * GiB});
  i64 full = ceil_div(100'000, 16), window = ceil_div(4096 - 1 + 8192, 16) + 1;
  CHECK(a.blocks_per_sequence == 2 * full + window);
  CHECK(a.groups.at(0).padding == 0);
  CHECK(a.per_sequence.value == double(2 * full + window) * 8 * 16 * 4096);
  Allocation shared = allocate(m, {}, {100'000, 1, 50'000}, engine("vllm"), 0, {10 * GiB});
  CHECK(shared.shared.value == 2.0 * 3125 * 8 * 16 * 4096);
  CHECK(shared.blocks_per_sequence == 2 * (full - 3125) + window);
  Allocation uniform = allocate(model("llama-3.1-8b"), {}, {8192, 1, 4096}, engine("vllm"), 0, {10 * GiB});
  CHECK(uniform.shared.value == 4096.0 * 131072);
  CHECK(allocate(model("llama-3.1-8b"), {}, {8192, 1, 8192}, engine("vllm"), 0, {0.5 * GiB}).max_sequences == 0);
}

TEST_CASE("pools without an engine hold windows of every sequence") {
  std::vector<CachePool> found = pools(windowed(0), {}, engine("ideal"), 0, 100'000, 3);
  REQUIRE(found.size() == 1);
  CHECK(found[0].slots == 3 * 4096);
  CHECK(pools(windowed(0), {}, engine("ideal"), 0, 5'000, 3)[0].slots == 5'000);
}

TEST_CASE("vLLM's groups are as large as the smallest kind of layer, or the largest less than half as many again") {
  auto layers_a_group = [](i64 full, i64 windows) {
    Model m = windowed(16);
    m.layers[0].count = full;
    m.layers[1].count = windows;
    Allocation a = allocate(m, {}, {1000, 1, 0}, engine("vllm"), 0, {GiB});
    return i64(a.block.value / (16 * 4096));
  };
  CHECK(layers_a_group(4, 5) == 5);
  CHECK(layers_a_group(4, 6) == 4);
  CHECK(layers_a_group(5, 4) == 5);
  CHECK(layers_a_group(4, 12) == 4);
}

TEST_CASE("vLLM: a draft widens a state's convolution by a column of three, and takes snapshots") {
  Model m = model("mamba-2.8b");
  m.layers[0].count = 1;
  m.layers[0].attention = RecurrentState{3000, 1000, 1, 0};
  Deployment d;
  d.states_given = true;  // bf16 and f32: 6,000 and 4,000 B
  CHECK(allocate(m, d, {100, 1, 0}, engine("vllm"), 0, {GiB}).per_sequence.value == 10'000);
  d.draft_tokens = 3;
  CHECK(allocate(m, d, {100, 1, 0}, engine("vllm"), 0, {GiB}).per_sequence.value == 4 * 16'000);
}

TEST_CASE("a draft head's layers are on the last stage") {
  Deployment d;
  d.pp = 2;
  d.draft_layers = 1;
  auto layers = [&](i64 stage) { return cache_types(model("llama-3.1-8b"), d, engine("ideal"), stage)[0].layers; };
  CHECK(layers(0) == 16);
  CHECK(layers(1) == 17);
}

TEST_CASE("of stages alike the first is told of") {
  Model m;
  m.id = "even";
  m.hidden = m.vocab = 1;
  m.layers.push_back({.count = 32, .attention = FullAttention{{1, 1, 64, 64}}, .projections = {}, .feed_forward = {}});
  m.tied_embeddings = false;
  Device device;
  device.memory = {{"HBM", {5e9}, {1e12}, {}, {}}};
  Deployment d;
  d.pp = 4;
  CHECK(fit(m, device, d, {8192, 1, 0}, engine("ideal")).stage == 0);
}

TEST_CASE("states alone are no tokens") {
  for (const char* e : {"ideal", "sglang", "trtllm"}) {
    CAPTURE(e);
    Allocation a = allocate(model("mamba-2.8b"), {}, {4096, 1, 0}, engine(e), 0, {1e10});
    CHECK(a.max_sequences > 0);
    CHECK(a.max_tokens == 0);
  }
}

TEST_CASE("where not even the prefix in common fits, no sequence does") {
  for (const char* e : {"ideal", "sglang", "trtllm"}) {
    CAPTURE(e);
    for (i64 prefix : {4000, 4095})
      CHECK(allocate(model("llama-3.1-8b"), {}, {4096, 8, prefix}, engine(e), 0, {1000 * 131072.0}).max_sequences == 0);
  }
}

TEST_CASE("ideally a sequence takes what it holds beyond the prefix in common; no room is no block") {
  Allocation a = allocate(model("llama-3.1-8b"), {}, {4096, 8, 1000}, engine("vllm"), 0, {1e10});
  CHECK(a.ideal_per_sequence.value == 3096 * 131072.0);
  a = allocate(model("llama-3.1-8b"), {}, {4096, 8, 1001}, engine("sglang"), 0, {1e10});
  CHECK(a.ideal_per_sequence.value == 3095 * 131072.0);
  CHECK(a.per_sequence.value == 3095 * 131072.0);
  CHECK(a.shared.value == 1001 * 131072.0);
  a = allocate(model("llama-3.1-8b"), {}, {4096, 8, 0}, engine("ideal"), 0, {2048 * 131072.0});
  CHECK(a.concurrency == 0.5);
  CHECK(a.max_tokens == 2048);
  a = allocate(model("llama-3.1-8b"), {}, {4096, 8, 1000}, engine("ideal"), 0, {(1000 + 2 * 3096) * 131072.0});
  CHECK(a.concurrency == 2);
  CHECK(a.max_sequences == 2);
  a = allocate(model("llama-3.1-8b"), {}, {4096, 8, 0}, engine("ideal"), 0, {2048 * 131072.0});
  CHECK(a.max_tokens == 2048);
  CHECK(a.max_sequences == 0);
  a = allocate(model("llama-3.1-8b"), {}, {4096, 8, 0}, engine("trtllm"), 0, {0});
  CHECK(a.blocks == 0);
  CHECK(a.max_sequences == 0);
  CHECK(a.concurrency == 0);
}

TEST_CASE(
    "vLLM: a window's blocks hold all but its last token and what a step adds, and one more where they lie askew") {
  Deployment d;
  d.batched_tokens = 1024;
  Model m = model("llama-3.1-8b");
  for (auto [window, blocks] : {std::pair<i64, i64>{1025, 129}, {1026, 130}, {1041, 130}, {1042, 131}}) {
    m.layers[0].attention = SlidingAttention{{32, 8, 128, 128}, window};
    CHECK(allocate(m, d, {100'000, 1, 0}, engine("vllm"), 0, {1e11}).blocks_per_sequence == blocks);
  }
}

}  // namespace
}  // namespace kvroof
