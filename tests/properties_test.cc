// Laws of any valid spec, not of the catalogue's alone: what holds for 4,000 random ones each, shrunk where it does
// not.
#include <catch2/catch.hpp>
#include <cmath>

#include "core/explain.h"
#include "random_spec.h"

namespace kvroof {
namespace {

constexpr i64 specs = 4'000;

std::optional<std::string> differ(const char* what, double a, double b, double by) {
  if (a == b || std::abs(a - b) <= by * std::max(std::abs(a), std::abs(b))) return std::nullopt;
  char text[160];
  std::snprintf(text, sizeof text, "%s: %.17g and %.17g", what, a, b);
  return text;
}

/// The first of them that says something.
template <class... Found>
std::optional<std::string> first_of(Found... found) {
  std::optional<std::string> first;
  ((first = first ? first : found), ...);
  return first;
}

void always(const Property& property, i64 count = specs) {
  Held o = hold(property, count, 7'000'000);
  INFO(o.checked << " specs checked, " << o.refused << " refused as impossible");
  INFO(o.counterexample);
  CHECK(o.counterexample.empty());
}

/// Two ways to write the same model are the same to every formula; sums may round in another order.
std::optional<std::string> same_figures(const Setup& a, const Setup& b) {
  constexpr double hair = 1e-11;
  auto figures = first_of(
      differ("one sequence", sequence_cache(a.model, a.w.context, a.d).value,
             sequence_cache(b.model, b.w.context, b.d).value, hair),
      differ("weights", all_weights(a.model, a.d).value, all_weights(b.model, b.d).value, hair),
      differ("parameters", double(count_parameters(a.model).total), double(count_parameters(b.model).total), 0),
      differ("layers", double(a.model.layer_count()), double(b.model.layer_count()), 0));
  // The first stage stands for all in what lies in which tier, and stages may cut the groups elsewhere.
  if (figures || (a.d.pp > 1 && a.device.memory.size() > 1)) return figures;
  Step x = a.step(), y = b.step();
  figures = first_of(differ("floor", x.floor.value, y.floor.value, hair),
                     differ("expected", x.expected.value, y.expected.value, hair));
  if (figures || a.d.pp > 1) return figures;
  return differ("sequences that fit", double(a.memory().max_sequences), double(b.memory().max_sequences), 1e-9);
}

Setup faster(Setup s, double by) {
  for (MemoryTier& tier : s.device.memory) {
    tier.bandwidth = by * tier.bandwidth;
    if (tier.link) tier.link = by * *tier.link;
  }
  if (s.device.cache && s.device.cache->bandwidth) s.device.cache->bandwidth = by * *s.device.cache->bandwidth;
  for (std::optional<FlopRate>& rate : s.device.peak)
    if (rate) rate = by * *rate;
  return s;
}

TEST_CASE("double all bandwidths and rates: the floor halves, to the last bit", "[property]") {
  always([](const Setup& s) {
    return differ("twice the doubled floor", 2 * faster(s, 2).step().floor.value, s.step().floor.value, 0);
  });
}

TEST_CASE("no figure is below its floor, none is not a number, and every tree re-adds", "[property]") {
  always([](const Setup& s) -> std::optional<std::string> {
    Step step = s.step();
    for (double value : {step.floor.value, step.expected.value, step.low.value, step.high.value, step.tokens_per_second,
                         step.tokens_per_second_per_user})
      if (!(std::isfinite(value) && value >= 0)) return "not a time: " + std::to_string(value);
    if (step.expected < step.floor * (1 - 1e-12))
      return differ("expected below floor", step.expected.value, step.floor.value, 0);
    if (step.low < step.floor || step.high < step.expected) return "the range does not hold the estimate";
    Node tree = explain_step(step);
    return differ("parts and their sum", recomputed(tree), tree.value, 1e-9);
  });
}

TEST_CASE("the order of layer groups changes no figure", "[property]") {
  always([](const Setup& s) {
    Setup other = s;
    std::vector<LayerGroup>& layers = other.model.layers;
    std::rotate(layers.begin(), layers.begin() + 1, layers.end());
    return same_figures(s, other);
  });
}

TEST_CASE("a group of layers written as two is the same model", "[property]") {
  always([](const Setup& s) {
    Setup other = s;
    std::vector<LayerGroup>& layers = other.model.layers;
    for (std::size_t i = 0; i < layers.size(); i += 2) {
      if (layers[i].count < 2) continue;
      LayerGroup rest = layers[i];
      rest.count = layers[i].count / 3 + 1;
      layers[i].count -= rest.count;
      if (layers[i].count == 0) layers[i].count = 1, rest.count -= 1;
      layers.insert(layers.begin() + i64(i) + 1, rest);
    }
    return same_figures(s, other);
  });
}

/// The first tier as two of half its capacity.
Setup halved(Setup s, double bandwidth) {
  MemoryTier& first = s.device.memory[0];
  first.capacity = first.capacity / 2;
  first.bandwidth = bandwidth * first.bandwidth;
  if (first.link) first.link = bandwidth * *first.link;
  s.device.memory.insert(s.device.memory.begin(), first);
  return s;
}

TEST_CASE("a tier cut into two equal ones is the same memory", "[property]") {
  always([](const Setup& s) {
    // Two as fast as the one, filled one after the other, stream what they hold as fast; at once they bound it lower.
    Setup same = halved(s, 1), half = halved(s, 0.5);
    Step whole = s.step(), cut = same.step();
    auto found = first_of(differ("expected", whole.expected.value, cut.expected.value, 1e-11),
                          differ("usable", s.memory().usable.value, same.memory().usable.value, 1e-15));
    if (found) return found;
    if (cut.floor > whole.floor * (1 + 1e-12)) return differ("floor", whole.floor.value, cut.floor.value, 0);
    bool in_order =
        s.device.memory.size() == 1 || half.device.memory[1].reachable() >= half.device.memory[2].reachable();
    bool in_cache = s.device.cache && s.device.cache->bandwidth;  // its bound is the faster of cache and first tier
    if (!in_order || in_cache || !s.memory().fits) return std::optional<std::string>();
    return differ("floor of two half as fast", whole.floor.value, half.step().floor.value, 1e-11);
  });
}

TEST_CASE("a decoder asked again and again answers as one asked once", "[property]") {
  always([](const Setup& s) -> std::optional<std::string> {
    Decoder decoder(s.model, s.device, s.d, s.engine, s.range);
    for (i64 context : {s.w.context / 2 + 1, s.w.context})
      for (i64 batch : {s.w.batch + 1, s.w.batch, i64(1)}) {
        Workload w = s.w;
        w.context = context;
        w.batch = batch;
        w.shared_prefix = std::min(w.shared_prefix, context);
        decoder.set_workload(w);
        Step again = decoder.step(batch), once = decode_step(s.model, s.device, s.d, w, s.engine, s.range);
        auto found = first_of(differ("floor", again.floor.value, once.floor.value, 0),
                              differ("expected", again.expected.value, once.expected.value, 0));
        if (found) return found;
      }
    return std::nullopt;
  });
}

TEST_CASE("ranks asked for many workloads answer as those asked for one", "[property]") {
  always([](const Setup& s) -> std::optional<std::string> {
    Ranks ranks(s.model, s.device, s.d, s.engine);
    Workload one = s.w;
    one.batch = 1;
    Memory alone = ranks.fit(one), all = ranks.fit(s.w), once = s.memory();
    // how many fit does not depend on how many are asked for, unless cells are padded by it
    return first_of(differ("sequences", double(all.max_sequences), double(once.max_sequences), 0),
                    differ("shortfall", all.shortfall.value, once.shortfall.value, 0),
                    differ("sequences of one", double(alone.max_sequences), double(all.max_sequences), 0));
  });
}

TEST_CASE("more of anything never costs less", "[property]") {
  always([](const Setup& s) -> std::optional<std::string> {
    Step base = s.step();
    auto slower = [&](const char* what, const Setup& other) -> std::optional<std::string> {
      Step step = other.step();
      if (step.floor < base.floor * (1 - 1e-12)) return differ(what, base.floor.value, step.floor.value, 0);
      if (step.expected < base.expected * (1 - 1e-12)) return differ(what, base.expected.value, step.expected.value, 0);
      return std::nullopt;
    };
    Setup longer = s, fuller = s;
    longer.w.context *= 2;
    fuller.w.batch *= 2;
    // Where all fits the cache no floor is claimed, and a little more has one; with few tiles a longer context reaches
    // more of the bandwidth, which is another law.
    if (s.device.achievable.attention[int(Arithmetic::bf16)]->reach > 0 || s.device.cache) return std::nullopt;
    return first_of(slower("a longer context", longer), slower("a larger batch", fuller));
  });
}

}  // namespace
}  // namespace kvroof
