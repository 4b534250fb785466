// The core against the derivation of by_hand.h: bytes stored and moved, weights of every rank, what fits, the floor,
// and every part of the expected step.
#include <catch2/catch.hpp>

#include "by_hand.h"
#include "random_spec.h"
#include "step_by_hand.h"

namespace kvroof {
namespace {

/// Formats whose blocks are a power of two long divide exactly, and so does a double.
bool is_binary(const Format& f) { return (f.elements & (f.elements - 1)) == 0; }

std::optional<std::string> cache_differs(const Setup& asked) {
  Setup s = asked;
  s.d.states_given = true;  // these are bytes of a model, whatever its engine
  ByHand naive{s};
  i64 tokens = s.w.context;
  double by_hand = naive.sequence(tokens).bytes(), core = sequence_cache(s.model, tokens, s.d).value;
  bool exact = is_binary(s.d.cache.key) && is_binary(s.d.cache.value) && by_hand < 0x1p53;
  if (exact ? core != by_hand : !close(core, by_hand, 1e-14)) return differs("one sequence", core, by_hand);
  for (const LayerGroup& g : s.model.layers) {
    for (bool moved : {false, true}) {
      Exact sum;
      naive.cache(sum, g, naive.kept(g, tokens), moved, 1, 1);
      double here = (moved ? layer_moved(g, tokens, s.d) : layer_stored(g, tokens, s.d)).value;
      if (exact ? here != sum.bytes() : !close(here, sum.bytes(), 1e-14))
        return differs(moved ? "moved of a layer" : "stored of a layer", here, sum.bytes());
    }
  }
  if (s.d.eviction.kind != EvictionKind::none) return std::nullopt;
  double growth = naive.sequence(10'000'001).bytes() - naive.sequence(10'000'000).bytes();
  double per_token = cache_per_token(s.model, s.d).value;
  if (!close(growth, per_token, 1e-6)) return differs("a token more", per_token, growth);
  return std::nullopt;
}

std::optional<std::string> weights_differ(const Setup& s) {
  ByHand naive{s};
  if (!naive.knows_stages()) return std::nullopt;
  for (i64 stage = 0; stage < s.d.pp; ++stage) {
    double core = rank_weights(s.model, s.d, stage, stages_of(s.engine)).value;
    double by_hand = naive.rank_weights(stage, naive.layers_of(stage)).bytes();
    if (!close(core, by_hand, 1e-13)) return differs("weights of a rank", core, by_hand);
  }
  return std::nullopt;
}

/// `n` sequences that the core lets in fit the room by hand too, and one more does not.
std::optional<std::string> fit_differs(const Setup& s) {
  ByHand naive{s};
  if (!naive.knows_stages() || !naive.knows_layout()) return std::nullopt;
  Memory core = s.memory();
  constexpr double hair = 1e-12;
  // What takes nothing a sequence has no bound; a billion must fit then, and a full room is not looked for.
  bool unbounded = core.max_sequences > i64(8e18) / s.d.attention_dp;
  bool all_hold = true, one_is_full = unbounded || core.max_sequences == 0;
  i64 n = unbounded ? 1'000'000'000 : core.max_sequences / s.d.attention_dp;
  for (i64 stage = 0; stage < s.d.pp; ++stage) {
    std::vector<i64> layers = naive.layers_of(stage);
    double room = naive.room(naive.rank_weights(stage, layers).bytes() + naive.beside_weights(layers), stage);
    if (room < 0) {
      if (core.max_sequences != 0) return differs("sequences where the weights do not fit", double(n), 0);
      return std::nullopt;
    }
    double cut = naive.cut(room, layers);
    double slack = hair * (cut + 1e12);
    all_hold &= n == 0 || naive.taken(layers, n) <= cut + slack;
    one_is_full |= naive.taken(layers, n + 1) > cut - slack;
  }
  if (!all_hold) return differs("sequences that do not fit", double(n), 0);
  if (!one_is_full) return differs("one more would fit", double(n), double(n + 1));
  if (core.fits != (core.max_sequences >= s.w.batch))
    return differs("fits", core.fits, core.max_sequences >= s.w.batch);
  return std::nullopt;
}

std::optional<std::string> floor_differs(const Setup& s) {
  ByHand naive{s};
  if (s.device.memory.size() > 1 && !naive.knows_stages()) return std::nullopt;
  Step core = s.step();
  double memory = naive.floor_memory(), compute = naive.floor_compute();
  if (!close(core.floor_memory.value, memory, 1e-10))  // 100,000 times what is not common may be a rounding error
    return differs("least bytes over bandwidth", core.floor_memory.value, memory);
  if (!close(core.floor_compute.value, compute, 1e-12))
    return differs("flops over peak", core.floor_compute.value, compute);
  if (core.floor.value != std::max(core.floor_memory.value, core.floor_compute.value))
    return differs("floor", core.floor.value, std::max(memory, compute));
  return std::nullopt;
}

/// Seconds, bytes and flops of every part of the step, and what is said of the whole.
std::optional<std::string> step_differs(const Setup& s) {
  if (s.device.memory.size() > 1 && !ByHand{s}.knows_stages()) return std::nullopt;
  StepByHand by_hand = StepByHand::decode(s);
  Step core = s.step();
  std::array<StepPart, part_kinds> told;
  for (const StepPart& p : core.parts) told[std::size_t(p.kind)] = p;
  for (int kind = 0; kind < part_kinds; ++kind) {
    const StepPart& p = told[std::size_t(kind)];
    const PartByHand& hand = by_hand.parts[std::size_t(kind)];
    std::string name(name_of(PartKind(kind)));
    const double pairs[][2] = {{p.memory.value, hand.memory},
                               {p.fixed.value, hand.fixed},
                               {p.bytes.value, hand.bytes},
                               {p.flops.value, hand.flops},
                               {p.seconds.value, hand.seconds()}};
    const char* of[] = {" streaming", " launches and waits", " bytes", " flops", " in all"};
    for (int i = 0; i < 5; ++i)
      if (!close(pairs[i][0], pairs[i][1], 1e-9)) return differs((name + of[i]).c_str(), pairs[i][0], pairs[i][1]);
    // what is left of the streaming may be all that rounding left
    if (std::abs(p.compute.value - hand.compute) > 1e-9 * hand.seconds())
      return differs((name + " arithmetic").c_str(), p.compute.value, hand.compute);
  }
  double t = by_hand.seconds();
  const double said[][2] = {{core.expected.value, t},
                            {core.low.value, std::max(core.floor.value, s.range.low * t)},
                            {core.high.value, s.range.high * t},
                            {core.tokens_per_second, double(s.w.batch * s.d.dp) / t},
                            {core.tokens_per_second_per_user, 1 / t}};
  const char* what[] = {"expected", "low", "high", "tokens/s", "tokens/s a user"};
  for (int i = 0; i < 5; ++i)
    if (!close(said[i][0], said[i][1], 1e-9)) return differs(what[i], said[i][0], said[i][1]);
  return std::nullopt;
}

void agree(const Property& differs, i64 count) {
  Held o = hold(differs, count, 1);
  INFO(o.checked << " specs checked, " << o.refused << " refused as impossible");
  INFO(o.counterexample);
  CHECK(o.counterexample.empty());
}

TEST_CASE("the cache in bytes, against a derivation by hand", "[differential]") { agree(cache_differs, 25'000); }
TEST_CASE("weights of every rank, against a derivation by hand", "[differential]") { agree(weights_differ, 25'000); }
TEST_CASE("what fits, against a derivation by hand", "[differential]") { agree(fit_differs, 25'000); }
TEST_CASE("the floor of a step, against a derivation by hand", "[differential]") { agree(floor_differs, 25'000); }

TEST_CASE("every part of the expected step, against a derivation by hand", "[differential]") {
  agree(step_differs, 25'000);
}

}  // namespace
}  // namespace kvroof
