// Speculative decoding and anchoring on a measurement: known answers and laws.
#include <catch2/catch.hpp>

#include "catalog/catalog.h"
#include "core/setup.h"

using namespace kvroof;

namespace {

Setup large_model() {
  const Catalog& c = Catalog::built_in();
  Setup s{c.model("llama-3.1-70b"), c.device("h100-sxm"), {}, c.engine("vllm"), c.range(Basis::measured_kernels), {}};
  s.d.tp = 4;
  s.w = {4096, 1, 0};
  s.draft = Draft{c.model("llama-3.2-1b"), 4, 0.7};
  return s;
}

}  // namespace

TEST_CASE("tokens a cycle: (1 - a^(n+1)) / (1 - a)") {
  CHECK(accepted_tokens(0, 4) == 1);
  CHECK(accepted_tokens(1, 4) == 5);
  CHECK(accepted_tokens(0.5, 1) == Approx(1.5));
  CHECK(accepted_tokens(0.7, 4) == Approx(2.77310));
}

TEST_CASE("speculation without acceptance is never faster than none, and with all of it never below its floor") {
  Setup s = large_model();
  for (i64 batch : {1, 8, 64}) {
    s.draft->acceptance = 0;
    CHECK(s.speculated(batch).expected >= s.step(batch).expected);
    s.draft->acceptance = 1;
    CHECK(s.speculated(batch).expected >= s.speculated(batch).floor);
    CHECK(s.speculated(batch).expected < s.step(batch).expected);
  }
}

TEST_CASE("a verification reads the weights and the cache once") {
  Setup s = large_model();
  Workload checked = s.w;
  checked.query_tokens = 5;
  Step one = s.step(1), five = decode_step(s.model, s.device, s.d, checked, s.engine, s.range);
  REQUIRE(one.parts.size() == five.parts.size());
  for (std::size_t i = 0; i < one.parts.size(); ++i) {
    CHECK(one.parts[i].bytes == five.parts[i].bytes);
    if (one.parts[i].kind == PartKind::weights || one.parts[i].kind == PartKind::kv_cache)
      CHECK(five.parts[i].flops.value == Approx(5 * one.parts[i].flops.value));
  }
}

TEST_CASE("the draft takes memory of its own") {
  Setup s = large_model(), bare = s;
  bare.draft.reset();
  Memory with = s.memory(), without = bare.memory();
  CHECK(with.weights > without.weights);
  CHECK(with.kv_per_sequence > without.kv_per_sequence);
  CHECK(with.max_sequences < without.max_sequences);
  CHECK((with.usable - with.reserved - with.weights - with.runtime - with.activation).value ==
        Approx(with.kv_room.value));
}

TEST_CASE("what can't draft is told why") {
  const Catalog& c = Catalog::built_in();
  Draft draft{c.model("llama-3.1-70b"), 4, 1.5};
  std::vector<Problem> found = problems(c.model("llama-3.1-8b"), draft);
  REQUIRE(found.size() == 2);
  CHECK(found[0].path == "--accept");
  CHECK(found[1].what == "llama-3.1-70b is no smaller than its target llama-3.1-8b: a step of it can't be cheaper");
  found = problems(c.model("llama-3.1-70b"), {c.model("qwen3-0.6b"), 4, 0.7});
  REQUIRE(found.size() == 1);
  CHECK(found[0].what.find("vocabulary of 151936, llama-3.1-70b one of 128256") != std::string::npos);
}

TEST_CASE("an anchored step scales every part and still adds up") {
  Setup s = large_model();
  s.draft.reset();
  Step plain = s.step(16);
  s.anchor = 1.25;
  Step anchored = s.step(16);
  CHECK(anchored.expected.value == Approx(1.25 * plain.expected.value));
  Seconds sum;
  for (const StepPart& p : anchored.parts) sum += p.seconds;
  CHECK(sum.value == Approx(anchored.expected.value));
  CHECK(anchored.floor == plain.floor);
  CHECK(anchored.basis == Basis::observed);
}
