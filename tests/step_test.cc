// Decode-step times that can be worked out by hand.
#include "core/step.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "catalog/catalog.h"

namespace kvroof {
namespace {

const Catalog& catalog() { return Catalog::built_in(); }

Step step_of(const char* model, const char* device, i64 batch, i64 context = 4096, Deployment d = {}) {
  return decode_step(catalog().model(model), catalog().device(device), d, {context, batch, 0},
                     catalog().engine("ideal"), {0.8, 1.3});
}

TEST_CASE("floor of Llama-3-8B in bf16 at 4096 tokens: (15,009,849,344 + batch x 536,870,912) B / bandwidth") {
  CHECK(step_of("llama-3-8b", "a100-sxm-80", 1).floor.value ==
        Approx((15009849344.0 + 536870912.0) / 2039e9).epsilon(1e-12));
  CHECK(step_of("llama-3-8b", "a100-sxm-80", 1).floor.value * 1e3 == Approx(7.62).margin(0.005));
  CHECK(step_of("llama-3-8b", "h100-sxm", 1).floor.value * 1e3 == Approx(4.64).margin(0.005));
  CHECK(step_of("llama-3-8b", "a100-sxm-80", 32).floor.value * 1e3 == Approx(15.79).margin(0.005));
  CHECK(step_of("llama-3-8b", "h100-sxm", 32).floor.value * 1e3 == Approx(9.61).margin(0.005));
}

TEST_CASE("MLA's bytes are not divided by tp, its flops are") {
  Deployment d;
  Step one = step_of("deepseek-v3", "h200-sxm", 64, 32768, d);
  d.tp = 8;
  Step eight = step_of("deepseek-v3", "h200-sxm", 64, 32768, d);
  auto kv = [](const Step& s) {
    for (const StepPart& p : s.parts)
      if (p.kind == PartKind::kv_cache) return p;
    return StepPart{};
  };
  CHECK(kv(one).bytes == kv(eight).bytes);
  CHECK(kv(eight).flops.value == Approx(kv(one).flops.value / 8));
}

TEST_CASE("two attention groups: attention's matrices are still read while feed-forward's wait for arithmetic") {
  // This device works on 200 rows in the time it reads their matrix. Of 300 each group passes 150 through attention's.
  Model m = catalog().model("llama-3.1-8b");
  Device device;
  device.id = "plain";
  device.memory = {{"HBM", {80e9}, {1e12}, {}, {}}};
  device.peak[int(Arithmetic::bf16)] = FlopRate{4e14};
  device.link = catalog().device("h100-sxm").link;
  device.achievable.compute = 0.5;
  device.achievable.overlap.hidden = 1;
  device.achievable.linears[int(Arithmetic::bf16)] = LinearRate{1, {}};
  Deployment d;
  d.tp = d.attention_dp = 2;
  Step s = decode_step(m, device, d, {1, 300, 0}, catalog().engine("ideal"), {0.8, 1.3});
  double attention = 32 * (4096.0 * (4096 + 2 * 1024) + 4096 * 4096), norms = 32 * 2 * 4096;
  double feed_forward = 32 * 3 * 4096.0 * 14336 / 2;
  CHECK(s.parts[0].kind == PartKind::weights);
  CHECK(s.parts[0].seconds.value ==
        Approx((attention + norms) * 2 / 1e12 + feed_forward * 2 * 300 / 2e14).epsilon(1e-9));
}

TEST_CASE("pipelining fills the stages: latency sums, throughput does not fall") {
  Deployment d;
  d.pp = 4;
  Step whole = step_of("llama-3.1-70b", "h100-sxm", 64), staged = step_of("llama-3.1-70b", "h100-sxm", 64, 4096, d);
  CHECK(staged.floor < 1.01 * whole.floor * 4);
  CHECK(staged.tokens_per_second_per_user == Approx(1 / staged.expected.value));
}

TEST_CASE("the floor reads a prefix common to all once, in an MLA layer too: 61 layers x 576 x 2 B a token") {
  Model m = catalog().model("deepseek-v3");
  Device device = catalog().device("h200-sxm");
  auto bytes = [&](i64 shared) {
    Step s = decode_step(m, device, {}, {1000, 10, shared}, catalog().engine("ideal"), {0.8, 1.3});
    return s.floor_memory.value * device.memory[0].bandwidth.value;
  };
  CHECK(bytes(0) - bytes(1000) == Approx(9 * 1000 * 61 * 576 * 2.0).epsilon(1e-6));
  CHECK(bytes(0) - bytes(400) == Approx(9 * 400 * 61 * 576 * 2.0).epsilon(1e-6));
}

TEST_CASE("a floor lets all tiers stream at once, each what it holds") {
  Device device = catalog().device("h100-sxm");
  device.memory = {{"fast", {100}, {10}, {}, {}}, {"slow", {1000}, {5}, {}, {}}};
  CHECK(stream_bound(device, {60}, 1).value == Approx(4));      // 40 B of the one, 20 B of the other
  CHECK(stream_bound(device, {300}, 1).value == Approx(40));    // the fast one has given its 100 B after 10 s
  CHECK(stream_bound(device, {300}, 2).value == Approx(20));    // moved twice: 200 B and 100 B
  CHECK(stream_bound(device, {5000}, 1).value == Approx(980));  // the last one stands for what does not fit
}

TEST_CASE("experts' biases are split with them, and the floor reads those of the chosen ones") {
  Model m = catalog().model("gpt-oss-120b");  // 36 layers, 128 experts, 4 a token, 2 x 2880 + 2880 biases in bf16
  Deployment d;
  d.tp = 8;
  Model without = m;
  for (LayerGroup& g : without.layers) std::get<MoeFeedForward>(g.feed_forward).bias = false;
  double all = 36.0 * 128 * 3 * 2880 * 2;
  CHECK((rank_weights(m, d, 0) - rank_weights(without, d, 0)).value == Approx(all / 8).epsilon(1e-6));
  Device device = catalog().device("h100-sxm");
  auto bytes = [&](const Model& of) {
    return decode_step(of, device, d, {4096, 1, 0}, catalog().engine("ideal"), {0.8, 1.3}).floor_memory.value *
           device.memory[0].bandwidth.value;
  };
  CHECK(bytes(m) - bytes(without) == Approx(all / 8 * 4 / 128).epsilon(1e-4));
}

TEST_CASE("where all that a step moves fits the last-level cache, no floor is claimed") {
  Model tiny = catalog().model("qwen3-0.6b");
  tiny.layers[0].count = 1;
  tiny.vocab = 1000;
  Step s = decode_step(tiny, catalog().device("h100-sxm"), {}, {128, 1, 0}, catalog().engine("ideal"), {0.8, 1.3});
  CHECK(!s.floor_claimed);
  CHECK(s.floor_memory.value == 0);
}

/// One layer of that attention alone.
Model only(Attention attention) {
  Model m = catalog().model("llama-3.1-8b");
  m.layers[0].count = 1;
  m.layers[0].attention = attention;
  return m;
}

TEST_CASE("a window or a state takes as long whatever came before it, few cores at work or many") {
  Device device = catalog().device("h100-sxm");  // its attention draws less with few tiles
  auto step = [&](const Attention& attention, i64 context) {
    return decode_step(only(attention), device, {}, {context, 1, 0}, catalog().engine("ideal"), {1, 1}).expected.value;
  };
  Heads heads{8, 2, 128, 128};
  CHECK(step(SlidingAttention{heads, 256}, 256) == step(SlidingAttention{heads, 256}, 100'000));
  CHECK(step(ChunkedAttention{heads, 256}, 256) == step(ChunkedAttention{heads, 256}, 100'000));
  CHECK(step(CrossAttention{heads, 1500}, 1) == step(CrossAttention{heads, 1500}, 100'000));
  CHECK(step(RecurrentState{0, 1 << 20, 8, 0}, 1) == step(RecurrentState{0, 1 << 20, 8, 0}, 100'000));
}

TEST_CASE("a prefix that all have in common lies in memory once, so it may fit the fast tier") {
  Device two = catalog().device("h100-sxm"), fast = two;
  two.memory[0].capacity = {20e9};  // 16.06 GB of weights, 1.07 GB of 8,192 tokens
  two.memory.push_back({"slow", {1000e9}, {50e9}, {}, {}});
  auto step = [&](const Device& device, i64 prefix) {
    return decode_step(catalog().model("llama-3.1-8b"), device, {}, {8192, 16, prefix}, catalog().engine("ideal"),
                       {1, 1});
  };
  CHECK(step(two, 8192).expected == step(fast, 8192).expected);
  CHECK(step(two, 0).expected > 2 * step(fast, 0).expected);
}

TEST_CASE("what a step waits for most") {
  auto bound = [](const char* model, const char* device, i64 batch, i64 context) {
    return std::string(step_of(model, device, batch, context).bound_by);
  };
  CHECK(bound("llama-3.1-70b", "h100-sxm", 1, 4096) == "memory bandwidth");
  CHECK(bound("llama-3.1-8b", "h100-sxm", 4096, 16) == "compute");
  Device slow = catalog().device("h100-sxm");
  slow.achievable.step = {1};
  CHECK(decode_step(catalog().model("llama-3.1-8b"), slow, {}, {4096, 1, 0}, catalog().engine("ideal"), {1, 1})
            .bound_by == "latency");
}

TEST_CASE("an all-reduce by hand: latency by ranks, and over the link or the network") {
  Device d = catalog().device("h100-sxm");
  d.achievable.all_reduce[0] = {1e-6};
  d.achievable.all_reduce[1] = {2e-6};
  d.achievable.all_reduce[2] = {3e-6};
  d.achievable.network_latency = {20e-6};
  d.achievable.link = 0.5;
  d.link = Link{"link", {400e9}, Bandwidth{100e9}, 16};
  d.network = Bandwidth{50e9};
  auto micro = [&](double bytes, i64 n) { return all_reduce(d, {bytes}, n).value * 1e6; };
  CHECK(micro(1e6, 1) == 0);
  CHECK(micro(0, 2) == Approx(1));
  for (i64 n : {3, 4}) CHECK(micro(0, n) == Approx(2));
  for (i64 n : {5, 6, 8}) CHECK(micro(0, n) == Approx(3));
  CHECK(micro(0, 9) == Approx(3 * std::log2(9) / 3));
  CHECK(micro(0, 16) == Approx(4));              // log2(16) / log2(8) as long
  CHECK(micro(1e6, 2) == Approx(1 + 1 / 0.05));  // a pair has 100 GB/s, half of it reached; 2 x 1/2 of the bytes
  CHECK(micro(1e6, 4) == Approx(2 + 1.5 / 0.2));
  CHECK(micro(0, 32) == Approx(20 * 5 / 3.0));  // beyond the domain
  CHECK(micro(1e6, 32) == Approx(20 * 5 / 3.0 + 2 * 31 / 32.0 / 0.025));
}

TEST_CASE("an anchored step keeps to its floor") {
  Step s = step_of("llama-3.1-8b", "h100-sxm", 16), half = anchored(s, 1e-3, {0.5, 1.5}),
       twice = anchored(s, 2, {0.5, 1.5});
  CHECK(half.expected.value == Approx(s.floor.value));
  CHECK(half.low == half.floor);
  CHECK(twice.low.value == Approx(std::max(s.floor.value, s.expected.value)));
  CHECK(twice.high.value == Approx(3 * s.expected.value));
  CHECK(twice.tokens_per_second == Approx(s.tokens_per_second / 2));
  CHECK(twice.tokens_per_second_per_user == Approx(s.tokens_per_second_per_user / 2));
}

TEST_CASE("a range without one for TTFT has TPOT's; one for experts is theirs alone") {
  Model dense = catalog().model("llama-3.1-8b"), experts = catalog().model("mixtral-8x7b");
  RangeRule plain{0.8, 1.3};
  CHECK(plain.of(dense).ttft_low == 0.8);
  CHECK(plain.of(dense).ttft_high == 1.3);
  RangeRule all = plain;
  all.ttft_low = 0.5, all.ttft_high = 2;
  all.experts_low = 0.7, all.experts_high = 1.4;
  all.experts_ttft_low = 0.3, all.experts_ttft_high = 3;
  RangeRule of_dense = all.of(dense), of_experts = all.of(experts);
  CHECK(std::array{of_dense.low, of_dense.high, of_dense.ttft_low, of_dense.ttft_high} ==
        std::array{0.8, 1.3, 0.5, 2.0});
  CHECK(std::array{of_experts.low, of_experts.high, of_experts.ttft_low, of_experts.ttft_high} ==
        std::array{0.7, 1.4, 0.3, 3.0});
}

}  // namespace
}  // namespace kvroof
