// KV cache bytes that a reader can check by hand or in a paper.
#include "core/cache.h"

#include <catch2/catch.hpp>

#include "catalog/catalog.h"

namespace kvroof {
namespace {

Model model(const char* name) { return Catalog::built_in().model(name); }

struct Row {
  const char* model;
  double bytes_per_token;  ///< once windows are full
  const char* source;
};

TEST_CASE("bytes per token in 16 bits") {
  const Row rows[] = {
      {"llama-3.1-8b", 131072, "2 x 32 layers x 8 heads x 128 x 2 B"},
      {"llama-2-7b", 524288, "2 x 32 x 32 x 128 x 2, the PagedAttention paper's 0.5 MB class"},
      {"llama-2-70b", 327680, "2 x 80 x 8 x 128 x 2"},
      {"llama-3.1-405b", 516096, "KV table of the Mooncake-era comparisons: 516.096 KB/token"},
      {"qwen2.5-72b", 327680, "DeepSeek-V3 hardware paper: 327.68 KB/token"},
      {"deepseek-v3", 70272, "61 x 576 x 2; DeepSeek-V3 hardware paper: 70.272 KB/token"},
      {"falcon-7b", 8192, "2 x 32 x 1 head x 64 x 2: one KV head"},
      {"mistral-7b-v0.1", 0, "sliding window of 4096 on every layer"},
      {"gemma-3-27b", 81920, "10 full layers of 62: 2 x 10 x 16 x 128 x 2"},
      {"gpt-oss-20b", 24576, "12 full layers of 24: 2 x 12 x 8 x 64 x 2"},
      {"t5-v1.1-xxl", 393216, "2 x 24 x 64 x 64 x 2, self-attention of the decoder"},
  };
  for (const Row& row : rows) {
    INFO(row.model << ": " << row.source);
    CHECK(cache_per_token(model(row.model), {}).value == row.bytes_per_token);
  }
}

TEST_CASE("whole sequences") {
  Deployment d;
  CHECK(sequence_cache(model("llama-3.1-8b"), 131072, d).value == 17179869184.0);  // 16 GiB
  Model llama = model("llama-2-70b");
  CHECK(sequence_cache(llama, 4096, d).value == 1342177280.0);                     // GQA-8: 1.34 GB
  CHECK(sequence_cache(with_kv_heads(llama, 0), 4096, d).value == 10737418240.0);  // as MHA: 10.7 GB
  CHECK(sequence_cache(with_kv_heads(llama, 1), 4096, d).value == 167772160.0);    // as MQA: 168 MB
}

TEST_CASE("Mistral-7B-v0.1 is flat past its window of 4096") {
  Model m = model("mistral-7b-v0.1");
  CHECK(sequence_cache(m, 4096, {}).value == 536870912.0);
  CHECK(sequence_cache(m, 4097, {}) == sequence_cache(m, 4096, {}));
  CHECK(sequence_cache(m, 1000000, {}) == sequence_cache(m, 4096, {}));
}

TEST_CASE("Gemma-3-27B: 52 sliding layers of 1024 and 10 full ones") {
  Model m = model("gemma-3-27b");
  CHECK(cache_per_token_within_windows(m, {}).value == 62 * 8192.0);
  CHECK(sequence_cache(m, 131072, {}).value == 52 * 1024 * 8192.0 + 10 * 131072 * 8192.0);
}

TEST_CASE("gpt-oss-20b alternates a window of 128 with full attention") {
  CHECK(sequence_cache(model("gpt-oss-20b"), 8192, {}).value == 12 * 128 * 2048.0 + 12 * 8192 * 2048.0);
}

TEST_CASE("T5-XXL keeps self-attention and a constant cross-attention cache") {
  Model m = model("t5-v1.1-xxl");
  CHECK(state_per_sequence(m, {}).value == 24 * 512 * 2 * 64 * 64 * 2.0);
  CHECK(sequence_cache(m, 100, {}).value == 24 * (512 + 100) * 16384.0);
}

TEST_CASE("a Mamba hybrid's state does not grow with the context") {
  Model m = model("qwen3.5-27b");
  // 48 gated-delta-net layers: conv 3 x (2 x 16 x 128 + 48 x 128) bf16, state 48 x 128 x 128 f32
  CHECK(state_per_sequence(m, {}).value == 48 * (3 * 10240 * 2 + 786432 * 4.0));
  CHECK((sequence_cache(m, 2000, {}) - sequence_cache(m, 1000, {})).value == 1000 * 65536.0);
}

TEST_CASE("a sparse indexer stores all and moves the top latents plus the whole index") {
  LayerGroup g;
  g.count = 1;
  g.attention = LatentAttention{128, 512, 64, 128, 128, 1536, Indexer{64, 128, 2048}};
  Deployment d;
  CHECK(layer_stored(g, 131072, d).value == 131072 * (576 * 2 + 132.0));
  CHECK(layer_moved(g, 131072, d).value == 2048 * 1152.0 + 131072 * 132.0);
}

TEST_CASE("formats: bytes of a vector of 128") {
  struct {
    const char* name;
    double bytes;
  } rows[] = {{"f32", 512},   {"bf16", 256}, {"fp16", 256}, {"fp8", 128}, {"int8", 132},
              {"q8_0", 136},  {"q5_1", 96},  {"q5_0", 88},  {"q4_1", 80}, {"q4_0", 72},
              {"iq4_nl", 72}, {"mxfp4", 68}, {"nvfp4", 72}, {"int4", 68}, {"awq", 66.5}};
  for (const auto& row : rows) {
    INFO(row.name);
    CHECK(format(row.name).size(128, 128).value == row.bytes);
  }
  CHECK(format("fp8_ds_mla").size(576, 576).value == 656);
}

TEST_CASE("what sharing of KV heads is called") {
  CHECK(sharing_name({32, 32, 128, 128}) == "MHA");
  CHECK(sharing_name({32, 2, 128, 128}) == "GQA");
  CHECK(sharing_name({32, 1, 128, 128}) == "MQA");
}

TEST_CASE("eviction bounds what growing layers keep") {
  Model m = model("llama-3.1-8b");
  Deployment d;
  d.eviction = {EvictionKind::streaming, 4, 2044, 0, 0};
  CHECK(sequence_cache(m, 100000, d).value == 2048 * 131072.0);
  CHECK(sequence_cache(m, 100, d).value == 100 * 131072.0);
  d.eviction = {EvictionKind::heavy_hitters, 0, 0, 0, 0.2};
  CHECK(sequence_cache(m, 10000, d).value == 2000 * 131072.0 + 2000 * 32 * 8 * 4.0);  // and one score a head
}

TEST_CASE("one rank of tensor parallelism") {
  Attention gqa = FullAttention{{64, 8, 128, 128}}, latent = LatentAttention{128, 512, 64, 128, 128, 0, {}};
  CHECK(rank_share(gqa, 1) == 1);
  CHECK(rank_share(gqa, 4) == 0.25);
  CHECK(rank_share(gqa, 8) == 0.125);
  CHECK(rank_share(gqa, 16) == 0.125);  // replicated past the heads
  CHECK(rank_share(latent, 8) == 1);    // a latent can't be split
}

TEST_CASE("layers that do not divide by the stages") {
  auto layers = [](std::vector<i64> counts, i64 pp, Stages stages) {
    Model m;
    for (i64 count : counts) m.layers.emplace_back().count = count;
    std::vector<i64> held;  // of every stage
    for (i64 stage = 0; stage < pp; ++stage) {
      i64 sum = 0;
      for (i64 n : stage_layers(m, stage, pp, stages)) sum += n;
      held.push_back(sum);
    }
    return held;
  };
  using Counts = std::vector<i64>;
  // vLLM's get_pp_indices: one more for the stages before the last, from the end
  CHECK(layers({32}, 3, Stages::inner) == Counts{11, 11, 10});
  CHECK(layers({61}, 2, Stages::inner) == Counts{31, 30});
  CHECK(layers({32}, 5, Stages::inner) == Counts{6, 6, 7, 7, 6});
  CHECK(layers({52, 10}, 4, Stages::inner) == Counts{15, 16, 16, 15});
  CHECK(layers({3, 58}, 2, Stages::inner) == Counts{31, 30});
  CHECK(layers({32}, 4, Stages::inner) == Counts{8, 8, 8, 8});
  CHECK(layers({32}, 3, Stages::spread) == Counts{10, 11, 11});
  Model alternating;
  for (i64 count : {5, 1}) alternating.layers.emplace_back().count = count;
  Counts sums = {0, 0};
  for (i64 stage = 0; stage < 4; ++stage) {
    Counts held = stage_layers(alternating, stage, 4, Stages::inner);
    for (std::size_t i = 0; i < 2; ++i) {
      CHECK(held[i] >= 0);
      sums[i] += held[i];
    }
  }
  CHECK(sums == Counts{5, 1});
  Model two;  // as far behind as each other: the first begins
  for (i64 count : {1, 1}) two.layers.emplace_back().count = count;
  CHECK(stage_layers(two, 0, 2, Stages::inner) == Counts{1, 0});
  CHECK(stage_layers(two, 1, 2, Stages::inner) == Counts{0, 1});
}

TEST_CASE("bits of an element in every format") {
  // ggml's block structs, OCP Microscaling 1.0, and what formats() says of each; scales that go with a vector apart
  const std::pair<const char*, double> bits[] = {{"f32", 32},
                                                 {"bf16", 16},
                                                 {"fp16", 16},
                                                 {"fp8", 8},
                                                 {"fp8_block", 8 + 32 / 16384.0},
                                                 {"fp8_ds_mla", 8 * 656 / 576.0},
                                                 {"int8", 8},
                                                 {"w8a8", 8},
                                                 {"q8_0", 8.5},
                                                 {"q6_k", 6.5625},
                                                 {"q5_k", 5.5},
                                                 {"q5_1", 6},
                                                 {"q5_0", 5.5},
                                                 {"q4_k", 4.5},
                                                 {"q3_k", 3.4375},
                                                 {"q2_k", 2.625},
                                                 {"iq4_xs", 4.25},
                                                 {"q4_1", 5},
                                                 {"q4_0", 4.5},
                                                 {"iq4_nl", 4.5},
                                                 {"mxfp4", 4.25},
                                                 {"nvfp4", 4.5},
                                                 {"int4", 4.25},
                                                 {"int4_g32", 4.5},
                                                 {"int4_sym", 4.125},
                                                 {"nf4", 4.5},
                                                 {"nf4_double", 4 + 8 / 64.0 + 32 / 16384.0},
                                                 {"awq", 4 + 20 / 128.0}};
  CHECK(std::size(bits) == formats().size());
  for (const auto& [name, each] : bits) {
    INFO(name);
    const Format* f = find_format(name);
    REQUIRE(f);
    CHECK(8.0 * double(f->bytes) / double(f->elements) == Approx(each).epsilon(1e-12));
    CHECK(f->vector_scale_bytes == (f->name == "int8" ? 4 : 0));
    CHECK(f->size(double(f->elements) * 64, 64 * f->elements).value == double(f->bytes * 64 + f->vector_scale_bytes));
  }
  CHECK(format("no such format").name == "f32");
}

TEST_CASE("of a prefix in common a layer holds its own tokens once, one that reads another's cache none") {
  LayerGroup g;
  g.attention = FullAttention{{32, 8, 128, 128}};
  CHECK(layer_shared(g, 4096, 1000, {}).value == 1000 * 4096.0);
  CHECK(layer_shared(g, 4096, 0, {}).value == 0);
  g.shares_kv = true;
  CHECK(layer_shared(g, 4096, 1000, {}).value == 0);
  g.shares_kv = false;
  g.attention = SlidingAttention{{32, 8, 128, 128}, 1024};
  CHECK(layer_shared(g, 4096, 1000, {}).value == 0);
}

}  // namespace
}  // namespace kvroof
