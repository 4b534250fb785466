// Speculative decoding and anchoring on a measurement: known answers and laws.
#include <catch2/catch.hpp>

#include "catalog/catalog.h"
#include "random_spec.h"
#include "step_by_hand.h"

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

TEST_CASE("a draft takes as many of the ranks as divide its heads") {
  Model m = Catalog::built_in().model("llama-3.2-1b");
  Deployment target;
  for (auto [query, kv, tp, of_draft] : {std::array<i64, 4>{9, 3, 2, 1}, {9, 3, 8, 3}, {12, 4, 8, 4}, {8, 2, 8, 8}}) {
    m.layers[0].attention = FullAttention{{query, kv, 64, 64}};
    target.tp = tp;
    CHECK(draft_deployment({m, 4, 0.7}, target).tp == of_draft);
  }
}

TEST_CASE("a prefix in common is held once, of the draft's too") {
  Setup s = large_model();
  s.w.shared_prefix = 4000;
  Memory with = s.memory();
  s.draft.reset();
  Memory without = s.memory();
  // the draft's 16 layers of 8 heads of 64, one of four ranks: two of them, in bf16
  CHECK((with.allocation.shared - without.allocation.shared).value == 16 * 2 * 2 * 64 * 2 * 4000.0);
}

TEST_CASE("beside a draft fits no more than beside none, and as many tokens as its room holds of both") {
  Setup s = large_model();
  s.d.kv_room = Bytes{20.0 * 1073741824};
  s.w.context = 8192;
  // A rank of four holds 81,920 B a token; the draft's 617,908,224 B of weights and 8,192 B a token come beside them.
  double room = 20.0 * 1073741824 - rank_weights(s.draft->model, draft_deployment(*s.draft, s.d), 0).value;
  Memory both = s.memory();
  CHECK(both.max_tokens == i64(room / (81920 + 8192)) / 16 * 16);
  s.w.shared_prefix = 8192;  // all of it is held once, so there is no bound
  CHECK(s.memory().fits);
  s.w.shared_prefix = 0;
  s.draft.reset();
  Memory bare = s.memory();
  CHECK(bare.max_tokens == 262144);
  // A target of recurrent layers alone holds what its slots are for, and a draft beside it takes none of that away.
  bare.max_sequences = 1;
  Memory one = with_draft(bare, {Catalog::built_in().model("llama-3.2-1b"), 4, 0.7}, s.d, s.w, s.engine);
  CHECK(one.max_sequences == 1);
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

TEST_CASE("a cycle by hand: one step of the target over what was drafted, and the draft's own steps", "[property]") {
  auto differs_from_hand = [](const Setup& given) -> std::optional<std::string> {
    Setup s = given;
    s.draft = Draft{s.model, 3, 0.5};  // as good a draft as any: its own target, of one layer
    s.draft->model.layers.resize(1);
    s.draft->model.layers[0].count = 1;
    Setup draft = s, target = s;
    draft.draft.reset();
    draft.model = s.draft->model;
    draft.d = draft_deployment(*s.draft, s.d);
    draft.w.query_tokens = s.w.query_tokens;
    target.w.query_tokens = 4;
    if (s.device.memory.size() > 1 || !draft.possible()) return std::nullopt;
    double verify = StepByHand::decode(target).seconds(), step = StepByHand::decode(draft).seconds();
    Speculated core = s.speculated(s.w.batch);
    double accepted = 1 + 0.5 + 0.25 + 0.125, expected = (verify + 3 * step) / accepted;
    double floor = (target.step().floor.value + 3 * draft.step().floor.value) / 4;
    const double pairs[][2] = {{core.verify.expected.value, verify},
                               {core.draft.expected.value, step},
                               {core.accepted, accepted},
                               {core.cycle.value, verify + 3 * step},
                               {core.expected.value, expected},
                               {core.floor.value, floor},
                               {core.low.value, std::max(floor, s.range.low * expected)},
                               {core.high.value, s.range.high * expected},
                               {core.tokens_per_second, double(s.w.batch * s.d.dp) / expected}};
    const char* what[] = {"verification", "draft's step", "accepted", "cycle",   "a token",
                          "floor",        "low",          "high",     "tokens/s"};
    for (int i = 0; i < 9; ++i)
      if (!close(pairs[i][0], pairs[i][1], 1e-9)) return differs(what[i], pairs[i][0], pairs[i][1]);
    return std::nullopt;
  };
  Held o = hold(differs_from_hand, 2000, 17);
  INFO(o.counterexample);
  CHECK(o.counterexample.empty());
}

/// llama-3.1-8b and llama-3.2-1b on 80 GB without an engine: 16,060,522,496 and 2,471,628,800 B of weights; 131,072 and
/// 32,768 B a token, so 1 GiB and 256 MiB for 8,192.
Setup small_models(double capacity, i64 batch) {
  const Catalog& c = Catalog::built_in();
  Setup s{c.model("llama-3.1-8b"), c.device("h100-sxm"), {}, c.engine("ideal"), {1, 1}, {8192, batch, 0}};
  s.device.memory[0].capacity = {capacity};
  s.draft = Draft{c.model("llama-3.2-1b"), 4, 0.7};
  return s;
}

TEST_CASE("a draft's room by hand") {
  constexpr double GiB = 1073741824;
  Memory m = small_models(80e9, 45).memory();
  CHECK(m.weights.value == 16060522496.0 + 2471628800.0);
  CHECK(m.kv_room.value == 80e9 - 16060522496.0 - 2471628800.0);
  CHECK(m.kv_per_sequence.value == 1.25 * GiB);
  CHECK(m.max_sequences == 45);  // 61.47 GB / 1.25 GiB
  CHECK(m.fits);
  CHECK(m.shortfall.value == 0);
  i64 alone = i64((80e9 - 16060522496.0) / 131072);
  CHECK(m.max_tokens == Approx(m.kv_room.value / (1.25 * GiB) * 8192).margin(1));
  CHECK(m.max_tokens < alone);
  Memory more = small_models(80e9, 46).memory();
  CHECK(!more.fits);
  CHECK(more.shortfall.value == Approx(46 * 1.25 * GiB - more.kv_room.value));
  Memory none = small_models(17e9, 1).memory();  // the target's weights fit, the draft's do not
  CHECK(none.max_sequences == 0);
  CHECK(!none.fits);
  CHECK(none.kv_room.value == 0);
  CHECK(none.shortfall.value == Approx(1.25 * GiB + 16060522496.0 + 2471628800.0 - 17e9));
  Setup given = small_models(80e9, 1);
  given.d.kv_room = Bytes{10 * GiB};
  CHECK(given.memory().kv_room.value == 10 * GiB - 2471628800.0);
  CHECK(given.memory().max_sequences == 6);  // 7.7 GiB / 1.25
  given.w.shared_prefix = 4096;              // half of it is there once: 0.625 GiB, and as much for each
  CHECK(given.memory().max_sequences == 11);
}

TEST_CASE("a draft is laid out as its target where it can be") {
  Draft draft{Catalog::built_in().model("llama-3.2-1b"), 4, 0.7};
  Deployment target;
  target.tp = target.ep = 8;
  target.pp = 32;
  target.weights = format("fp8");
  auto laid_out = [&](Heads heads) {
    draft.model.layers[0].attention = FullAttention{heads};
    return draft_deployment(draft, target);
  };
  CHECK(laid_out({32, 8, 64, 64}).tp == 8);
  CHECK(laid_out({32, 8, 64, 64}).pp == 16);  // its layers
  CHECK(!laid_out({32, 8, 64, 64}).weights);  // --weights speaks of the target
  CHECK(laid_out({12, 4, 64, 64}).tp == 4);   // 6 divides the query heads, but 6 ranks can't share 4 KV heads
  CHECK(laid_out({12, 4, 64, 64}).ep == 4);
  CHECK(laid_out({24, 2, 64, 64}).tp == 8);  // 8 ranks, four of them for each KV head
  CHECK(laid_out({5, 5, 64, 64}).tp == 5);
  target.attention_dp = 4;
  CHECK(laid_out({12, 4, 64, 64}).attention_dp == 4);
  target.attention_dp = 8;
  CHECK(laid_out({12, 4, 64, 64}).attention_dp == 1);
  CHECK(laid_out({32, 8, 64, 64}).attention_dp == 8);
}

TEST_CASE("drafts at the edge of what is allowed") {
  Model target = Catalog::built_in().model("llama-3.1-8b");
  Draft draft{Catalog::built_in().model("llama-3.2-1b"), 1, 0};
  CHECK(problems(target, draft).empty());
  draft.length = 64;
  draft.acceptance = 1;
  CHECK(problems(target, draft).empty());
  draft.length = 65;
  CHECK(problems(target, draft).at(0).what == "must lie in 1 to 64");
  draft.length = 0;
  CHECK(problems(target, draft).at(0).path == "--draft-len");
  CHECK(problems(target, {target, 4, 0.5}).at(0).path == "--draft");  // a draft as large as its target
}

TEST_CASE("a draft beside data-parallel attention: each group holds its own") {
  Setup s = small_models(80e9, 16);
  s.d.tp = 2;
  Memory one = s.memory();
  s.d.attention_dp = 2;
  Memory groups = s.memory();
  i64 each = i64(groups.kv_room / groups.kv_per_sequence);
  CHECK(groups.kv_per_sequence.value == 2 * one.kv_per_sequence.value);  // all KV heads on every rank
  CHECK(groups.max_sequences == 2 * each);
  Setup target = s;
  target.draft.reset();
  Memory bare = target.memory();
  double share = groups.kv_room / bare.kv_room * (bare.kv_per_sequence / groups.kv_per_sequence);
  CHECK(double(groups.max_tokens) == Approx(double(bare.max_tokens) * share).margin(1));
  s.w.batch = 2 * each + 1000;
  Memory beyond = s.memory();
  REQUIRE(!beyond.fits);
  CHECK(beyond.shortfall.value ==
        Approx(double(each + 500) * beyond.kv_per_sequence.value - beyond.kv_room.value).epsilon(1e-12));
}

TEST_CASE("an anchored cycle is as much longer as its steps") {
  Setup s = large_model();
  Speculated plain = s.speculated(16);
  s.anchor = 2;
  Speculated twice = s.speculated(16);
  CHECK(twice.cycle.value == Approx(2 * plain.cycle.value));
  CHECK(twice.expected.value == Approx(2 * plain.expected.value));
}
