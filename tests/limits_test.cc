// Sizes nobody has yet and numbers nobody means: exact where they can be, refused with a reason where not. Under the
// sanitizers an overflow would end these tests.
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "catalog/catalog.h"
#include "core/setup.h"

namespace kvroof {
namespace {

const Catalog& catalog() { return Catalog::built_in(); }

std::string text_of(const std::vector<Problem>& problems) {
  std::string text;
  for (const Problem& p : problems) text += p.path + ": " + p.what + (p.hint.empty() ? "" : " (" + p.hint + ")") + "\n";
  return text;
}

/// A thousand groups, no two alike: full attention of 1 to 1000 KV heads of one element each.
Model of_many_groups(i64 layers_each) {
  Model m;
  m.id = "many";
  m.hidden = 64;
  m.vocab = 1000;
  for (i64 i = 1; i <= 1000; ++i)
    m.layers.push_back({.count = layers_each,
                        .attention = FullAttention{{i, i, 1, 1}},
                        .projections = {},
                        .feed_forward = DenseFeedForward{i, 3, false}});
  return m;
}

TEST_CASE("a million tokens, a hundred thousand sequences, ten thousand devices: bytes to the last one", "[limits]") {
  Setup s{.model = catalog().model("llama-3.1-405b"),  // 126 layers, 8 KV heads of 128, bf16
          .device = catalog().device("h100-sxm"),
          .d = {},
          .engine = catalog().engine("ideal"),
          .range = {0.8, 1.3},
          .w = {1'000'000, 100'000, 0}};
  s.d.tp = 8;
  s.d.pp = 10;
  s.d.dp = 125;
  REQUIRE(s.d.devices() == 10'000);
  CHECK(text_of(s.problems()).empty());
  CHECK(sequence_cache(s.model, 1'000'000, s.d).value == 126.0 * 8 * 256 * 2 * 1'000'000);
  Step step = s.step();
  double cache = 126.0 * 256 * 2 * 1e6 * 10'000;  // one KV head a rank, 10,000 sequences in each of ten stages
  CHECK(step.floor_memory.value > cache / 3.35e12);
  CHECK(step.floor_memory.value == Approx(cache / 3.35e12).epsilon(0.01));
  CHECK(std::isfinite(step.high.value));
  CHECK(!s.memory().fits);
}

TEST_CASE("a thousand layer groups are the sum of a thousand groups", "[limits]") {
  Model m = of_many_groups(65);
  CHECK(text_of(problems(m)).empty());
  CHECK(sequence_cache(m, 1000, {}).value == 65.0 * 1000 * (1000 * 1001 / 2) * 2 * 2);
  for (const char* id : {"ideal", "vllm", "sglang", "trtllm", "llamacpp"}) {
    Setup s{m, catalog().device("h200-sxm"), {}, catalog().engine(id), {0.8, 1.3}, {1000, 1, 0}};
    INFO(id);
    CHECK(text_of(s.problems()).empty());
    CHECK(std::isfinite(s.step().expected.value));
    CHECK(s.memory().max_sequences >= 0);
  }
}

TEST_CASE("stages that would take minutes to lay out are refused", "[limits]") {
  Setup s{of_many_groups(65), catalog().device("h200-sxm"), {}, catalog().engine("vllm"), {0.8, 1.3}, {1000, 1, 0}};
  s.d.pp = 1000;
  CHECK(text_of(s.problems()) ==
        "--pp: 1000 stages of 65000 layers in 1000 groups are more than can be laid out "
        "(write layers that are alike as one group)\n");
}

TEST_CASE("devices of impossible figures", "[limits]") {
  constexpr double least = std::numeric_limits<double>::denorm_min();
  Device device = catalog().device("h100-sxm");
  auto with = [&](auto change) {
    Device d = device;
    change(d);
    return text_of(problems(d));
  };
  CHECK(with([](Device& d) { d.memory[0].capacity = {0x1p53}; }).empty());
  CHECK(with([](Device& d) { d.memory[0].capacity = {0x1.0000000000001p53}; }) ==
        "memory[0].capacity: is more than 8 PiB (bytes stay exact only below 2^53)\n");
  CHECK(with([](Device& d) { d.memory[0].capacity = {INFINITY}; }) ==
        "memory[0].capacity: must be more than 0 bytes\n"
        "memory[0].capacity: is more than 8 PiB (bytes stay exact only below 2^53)\n");
  CHECK(with([](Device& d) { d.memory[0].bandwidth = {least}; }) ==
        "memory[0].bandwidth: must lie between 1 and 1e21 B/s\n");
  CHECK(with([](Device& d) { d.memory[0].bandwidth = {-1}; }) == "memory[0].bandwidth: must be more than 0 B/s\n");
  CHECK(with([](Device& d) { d.memory[0].bandwidth = {NAN}; }) == "memory[0].bandwidth: must be more than 0 B/s\n");
  CHECK(with([](Device& d) { d.peak[int(Arithmetic::bf16)] = FlopRate{1e300}; }) ==
        "peak.bf16: must lie between 1 and 1e21 flop/s\n");
  CHECK(with([](Device& d) { d.achievable.compute = least; }) == "achievable.compute: must lie in (0, 1]\n");
}

TEST_CASE("cells of a tiny window over 2^40 tokens stay within 63 bits", "[limits]") {
  Model m;
  m.id = "tiny";
  m.hidden = m.vocab = 1;
  m.layers.push_back(
      {.count = 1, .attention = SlidingAttention{{1, 1, 1, 1}, 1}, .projections = {}, .feed_forward = {}});
  for (bool unified : {true, false}) {
    Setup s{m, catalog().device("h200-sxm"), {}, catalog().engine("llamacpp"), {0.8, 1.3}, {i64(1) << 40, 1, 0}};
    s.d.unified = unified;
    CHECK(text_of(s.problems()).empty());
    Memory memory = s.memory();
    CHECK(memory.max_sequences > 0);
    CHECK(memory.max_tokens / (i64(1) << 40) == memory.max_sequences);
  }
}

TEST_CASE("measured sizes beyond what stays exact", "[limits]") {
  Setup s{catalog().model("qwen3-0.6b"), catalog().device("h200-sxm"), {}, catalog().engine("vllm"), {0.8, 1.3}, {}};
  s.d.kv_room = Bytes{1e300};
  CHECK(text_of(s.problems()) == "--kv-room: is more than 8 PiB (bytes stay exact only below 2^53)\n");
}

}  // namespace
}  // namespace kvroof
