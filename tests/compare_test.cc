// Differences of trees: their parts sum to them, by hand and over the catalogue.
#include <catch2/catch.hpp>

#include "catalog/catalog.h"
#include "core/difference.h"

namespace kvroof {
namespace {

/// The worst error of any sum of parts, relative to the larger side.
double worst_sum(const Difference& d) {
  if (d.parts.empty()) return 0;
  double sum = 0, scale = std::max({1e-12, std::abs(d.a), std::abs(d.b)}), worst = 0;
  for (const Difference& part : d.parts) {
    sum += part.value();
    worst = std::max(worst, worst_sum(part));
  }
  return std::max(worst, std::abs(sum - d.value()) / scale);
}

TEST_CASE("a difference by hand: parts in order of what they change, the sign of a rest turned") {
  Node a{"room",
         5,
         Measure::bytes,
         Rule::rest,
         "",
         {{"usable", 10, Measure::bytes, Rule::given, "", {}}, {"weights", 5, Measure::bytes, Rule::given, "", {}}}};
  Node b{"room",
         10,
         Measure::bytes,
         Rule::rest,
         "",
         {{"usable", 16, Measure::bytes, Rule::given, "", {}},
          {"weights", 4, Measure::bytes, Rule::given, "", {}},
          {"graphs", 2, Measure::bytes, Rule::given, "", {}}}};
  Difference d = difference(a, b);
  CHECK(d.value() == 5);
  REQUIRE(d.parts.size() == 3);
  CHECK(d.parts[0].label == "usable");
  CHECK(d.parts[0].value() == 6);
  CHECK(d.parts[1].label == "graphs");
  CHECK(d.parts[1].value() == -2);
  CHECK(d.parts[2].label == "weights");
  CHECK(d.parts[2].value() == 1);  // fewer weights leave more room
  Difference back = difference(b, a);
  CHECK(back.value() == -5);
  REQUIRE(back.parts.size() == 3);
  CHECK(back.parts[1].label == "graphs");
  CHECK(back.parts[1].a == 2);
  CHECK(back.parts[1].b == 0);
}

TEST_CASE("differences of steps and of memory re-add over the catalogue") {
  const Catalog& c = Catalog::built_in();
  Device h100 = c.device("h100-sxm");
  Engine vllm = c.engine("vllm");
  Workload w{8192, 16, 0};
  Deployment two;
  two.tp = 2;
  Model first = c.model("llama-3.1-8b");
  Step base = decode_step(first, h100, {}, w, vllm, {});
  Memory room = fit(first, h100, {}, w, vllm);
  for (const std::string& id : c.ids("models")) {
    Model m = c.model(id);
    INFO(id);
    for (const Deployment& d : {Deployment{}, two}) {
      CHECK(worst_sum(difference(explain_step(base), explain_step(decode_step(m, h100, d, w, vllm, {})))) <= 1e-9);
      CHECK(worst_sum(difference(explain_memory(first, h100, room),
                                 explain_memory(m, h100, fit(m, h100, d, w, vllm)))) <= 1e-9);
    }
  }
}

}  // namespace
}  // namespace kvroof
