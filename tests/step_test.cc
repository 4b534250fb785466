// Decode-step times that can be worked out by hand.
#include "core/step.h"

#include <catch2/catch.hpp>

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

TEST_CASE("pipelining fills the stages: latency sums, throughput does not fall") {
  Deployment d;
  d.pp = 4;
  Step whole = step_of("llama-3.1-70b", "h100-sxm", 64), staged = step_of("llama-3.1-70b", "h100-sxm", 64, 4096, d);
  CHECK(staged.floor < 1.01 * whole.floor * 4);
  CHECK(staged.tokens_per_second_per_user == Approx(1 / staged.expected.value));
}

TEST_CASE("where all that a step moves fits the last-level cache, no floor is claimed") {
  Model tiny = catalog().model("qwen3-0.6b");
  tiny.layers[0].count = 1;
  tiny.vocab = 1000;
  Step s = decode_step(tiny, catalog().device("h100-sxm"), {}, {128, 1, 0}, catalog().engine("ideal"), {0.8, 1.3});
  CHECK(!s.floor_claimed);
  CHECK(s.floor_memory.value == 0);
}

}  // namespace
}  // namespace kvroof
