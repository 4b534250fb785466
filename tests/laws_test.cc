// Laws that hold for every model of the catalogue on every device under every engine.
#include <catch2/catch.hpp>
#include <cmath>

#include "catalog/catalog.h"
#include "core/explain.h"

namespace kvroof {
namespace {

struct Everything {
  std::vector<Model> models;
  std::vector<Device> devices;
  std::vector<Engine> engines;
};

const Everything& everything() {
  static const Everything all = [] {
    const Catalog& c = Catalog::built_in();
    Everything e;
    for (const std::string& id : c.ids("models")) e.models.push_back(c.model(id));
    for (const std::string& id : c.ids("devices")) e.devices.push_back(c.device(id));
    for (const std::string& id : c.ids("engines")) e.engines.push_back(c.engine(id));
    return e;
  }();
  return all;
}

/// The worst relative error of any node's arithmetic.
double worst_sum(const Node& node) {
  double scale = std::max(1e-12, std::abs(node.value));
  double worst = std::abs(recomputed(node) - node.value) / scale;
  for (const Node& part : node.parts) worst = std::max(worst, worst_sum(part));
  return worst;
}

constexpr RangeRule range{0.8, 1.3};

TEST_CASE("expected >= floor and low >= floor; every tree re-adds: model x device x engine", "[long]") {
  long checked = 0;
  for (const Model& m : everything().models)
    for (const Device& device : everything().devices)
      for (const Engine& e : everything().engines)
        for (i64 batch : {1, 48}) {
          Workload w{8192, batch, 0};
          Step s = decode_step(m, device, {}, w, e, range);
          bool ok = s.expected >= s.floor * (1 - 1e-12) && s.low >= s.floor && s.high >= s.expected &&
                    s.floor.value >= 0 && std::isfinite(s.expected.value);
          double worst = std::max(worst_sum(explain_step(s)), worst_sum(explain_floor(s)));
          if (!ok || worst > 1e-9) {
            INFO(m.id << " on " << device.id << " with " << e.id << " at batch " << batch << ": floor " << s.floor.value
                      << " expected " << s.expected.value);
            REQUIRE(ok);
            REQUIRE(worst <= 1e-9);
          }
          ++checked;
        }
  CHECK(checked == long(everything().models.size() * everything().devices.size() * everything().engines.size() * 2));
}

TEST_CASE("reductions multiply to the stored bytes, for every model, format and eviction") {
  for (const Model& m : everything().models)
    for (const char* name : {"bf16", "fp8", "int8", "q4_0"})
      for (EvictionKind kind : {EvictionKind::none, EvictionKind::streaming, EvictionKind::heavy_hitters}) {
        Deployment d;
        d.cache.key = d.cache.value = format(name);
        d.eviction = {kind, 4, 2044, 0, 0.2};
        INFO(m.id << " in " << name);
        CHECK(worst_sum(explain_reductions(m, d, 50000)) <= 1e-9);
      }
}

TEST_CASE("memory trees re-add: model x device x engine", "[long]") {
  for (const Model& m : everything().models)
    for (const Device& device : everything().devices)
      for (const Engine& e : everything().engines) {
        Memory memory = fit(m, device, {}, {8192, 1, 0}, e);
        double worst = std::max(worst_sum(explain_memory(m, device, memory)), worst_sum(explain_cache(m, {}, 8192)));
        INFO(m.id << " on " << device.id << " with " << e.id);
        if (worst > 1e-9) REQUIRE(worst <= 1e-9);
        if (memory.kv_room.value < 0) REQUIRE(memory.kv_room.value >= 0);
        // What fits really fits: n sequences stay within the room, n + 1 would not.
        const Allocation& a = memory.allocation;
        if (e.layout == Layout::exact && a.per_sequence.value > 0) {
          if (a.used > memory.kv_room * (1 + 1e-12)) REQUIRE(a.used <= memory.kv_room * (1 + 1e-12));
          if (a.used + a.per_sequence <= memory.kv_room * (1 - 1e-12))
            REQUIRE(a.used + a.per_sequence > memory.kv_room * (1 - 1e-12));
        }
      }
  SUCCEED();
}

TEST_CASE("bytes grow with the context, windows stay flat past themselves, MQA never exceeds MHA") {
  for (const Model& m : everything().models) {
    INFO(m.id);
    Bytes before;
    for (i64 tokens : {1, 100, 1000, 4096, 10000, 131072}) {
      Bytes now = sequence_cache(m, tokens, {});
      CHECK(now >= before);
      before = now;
    }
    Bytes growth = sequence_cache(m, 2000000, {}) - sequence_cache(m, 1000000, {});
    CHECK(growth.value == Approx(1e6 * cache_per_token(m, {}).value));
    CHECK(sequence_cache(with_kv_heads(m, 1), 8192, {}) <= sequence_cache(with_kv_heads(m, 0), 8192, {}));
  }
}

TEST_CASE("an engine never allocates less than the ideal for a sequence of its own") {
  for (const Model& m : everything().models)
    for (const Engine& e : everything().engines) {
      if (e.layout == Layout::token_pool) continue;  // its sliding pool is a fixed share of the full one
      Allocation a = allocate(m, {}, {5000, 1, 0}, e, 0, {1e13});
      INFO(m.id << " with " << e.id << ": " << a.per_sequence.value << " against " << a.ideal_per_sequence.value);
      CHECK(a.per_sequence.value >= a.ideal_per_sequence.value * (1 - 1e-12));
    }
}

TEST_CASE("tensor parallelism never grows a rank, and the ranks hold at least the whole") {
  for (const Model& m : everything().models)
    for (i64 tp : {2, 4, 8}) {
      Deployment one, many;
      many.tp = tp;
      INFO(m.id << " at tp " << tp);
      CHECK(rank_weights(m, many, 0) <= rank_weights(m, one, 0));
      CHECK(double(tp) * rank_weights(m, many, 0) >= rank_weights(m, one, 0) * (1 - 1e-9));
      for (const LayerGroup& g : m.layers) CHECK(rank_share(g.attention, tp) * double(tp) >= 1 - 1e-12);
    }
}

TEST_CASE("pipeline stages add up to the whole") {
  for (const Model& m : everything().models)
    for (i64 pp : {2, 3, 4}) {
      Deployment d;
      d.pp = pp;
      Bytes sum;
      for (i64 stage = 0; stage < pp; ++stage) sum += rank_weights(m, d, stage);
      Bytes tied_copy = m.tied_embeddings ? m.weights.embeddings.size(double(m.vocab * m.hidden), 1 << 20) : Bytes{};
      INFO(m.id << " at pp " << pp);
      CHECK((sum - tied_copy).value == Approx(all_weights(m, {}).value).epsilon(1e-9));
    }
}

TEST_CASE("more bandwidth, flops or a faster link never slow a step; more context or batch never speeds one up") {
  Deployment d;
  d.tp = 2;
  for (const Model& m : everything().models)
    for (const char* name : {"h100-sxm", "a100-pcie-80", "mi300x", "tpu-v5e", "groq-lpu1"}) {
      Device device = Catalog::built_in().device(name);
      const Engine& e = everything().engines[1];
      auto time = [&](const Device& on, i64 context, i64 batch) {
        return decode_step(m, on, d, {context, batch, 0}, e, range).expected.value;
      };
      double base = time(device, 4096, 8);
      Device faster = device;
      faster.memory[0].bandwidth = 2 * faster.memory[0].bandwidth;
      Device stronger = device;
      for (auto& peak : stronger.peak)
        if (peak) peak->value *= 2;
      Device linked = device;
      if (linked.link) linked.link->per_direction = 2 * linked.link->per_direction;
      INFO(m.id << " on " << name);
      CHECK(time(faster, 4096, 8) <= base * (1 + 1e-12));
      CHECK(time(stronger, 4096, 8) <= base * (1 + 1e-12));
      CHECK(time(linked, 4096, 8) <= base * (1 + 1e-12));
      CHECK(time(device, 8192, 8) >= base * (1 - 1e-12));
      CHECK(time(device, 4096, 16) >= base * (1 - 1e-12));
    }
}

TEST_CASE("double all bandwidths and rates: the floor halves") {
  for (const Device& device : everything().devices) {
    Device twice = device;
    for (MemoryTier& tier : twice.memory) {
      tier.bandwidth = 2 * tier.bandwidth;
      if (tier.link) tier.link = 2 * *tier.link;
    }
    if (twice.cache && twice.cache->bandwidth) twice.cache->bandwidth = 2 * *twice.cache->bandwidth;
    for (auto& peak : twice.peak)
      if (peak) peak->value *= 2;
    const Model& m = everything().models[0];
    const Engine& e = everything().engines[0];
    INFO(device.id);
    CHECK(decode_step(m, twice, {}, {4096, 8, 0}, e, range).floor.value ==
          Approx(decode_step(m, device, {}, {4096, 8, 0}, e, range).floor.value / 2));
  }
}

}  // namespace
}  // namespace kvroof
