// What an explanation says beyond its sums: which leaves it has, and factors that can be worked out by hand.
#include "core/explain.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "catalog/catalog.h"

using namespace kvroof;

namespace {

const Catalog& catalog() { return Catalog::built_in(); }

std::vector<std::string> labels(const Node& node) {
  std::vector<std::string> found;
  for (const Node& part : node.parts) found.push_back(part.label);
  return found;
}

void check_no_empty_leaves(const Node& node) {
  for (const Node& part : node.parts) {
    if (part.parts.empty()) CHECK(part.value > 0);
    check_no_empty_leaves(part);
  }
}

}  // namespace

TEST_CASE("a latent against MHA: 128 heads of 192 + 128 elements a token, cached as 512 + 64") {
  Node tree = explain_reductions(catalog().model("deepseek-v3"), {}, 1000);
  REQUIRE(!tree.parts.empty());
  const Node& dense = tree.parts[0];  // 3 layers
  REQUIRE(labels(dense) == std::vector<std::string>{"as MHA in bf16, every token", "head sharing"});
  CHECK(dense.parts[0].value == 3 * 1000 * 128 * (192 + 128) * 2.0);
  CHECK(dense.parts[1].value == Approx(576 / (128 * 320.0)));
  CHECK(dense.value == 3 * 1000 * 576 * 2.0);
}

TEST_CASE("a group that shares an earlier layer's cache says so, with nothing of its own") {
  Model m = catalog().model("llama-3.1-8b");
  m.layers[0].count = 31;
  m.layers.push_back(m.layers[0]);
  m.layers[1].count = 1;
  m.layers[1].shares_kv = true;
  Node tree = explain_reductions(m, {}, 1000);
  REQUIRE(tree.parts.size() == 2);
  CHECK(tree.parts[1].label == "1 x full (shared)");
  CHECK(tree.parts[1].value == 0);
  CHECK(tree.parts[1].parts.back().label == "shared with an earlier layer");
}

TEST_CASE("a step's explanation lists what takes time, and a part that takes one kind of it has one leaf") {
  Step step = decode_step(catalog().model("llama-3.1-8b"), catalog().device("h100-sxm"), {}, {4096, 1, 0},
                          catalog().engine("vllm"), {0.8, 1.3});
  check_no_empty_leaves(explain_step(step));
  StepPart waiting;
  waiting.kind = PartKind::step_overhead;
  waiting.seconds = waiting.fixed = Seconds{1e-3};
  step.parts = {};
  step.parts.add(waiting);
  CHECK(labels(explain_step(step).parts[0]) == std::vector<std::string>{"launches and waits"});
  waiting.memory = waiting.fixed;
  waiting.fixed = {};
  step.parts = {};
  step.parts.add(waiting);
  CHECK(labels(explain_step(step).parts[0]) == std::vector<std::string>{"streaming"});
}

TEST_CASE("experts touched: as many as there are times the share of them") {
  Node tree = explain_experts(catalog().model("mixtral-8x7b"), {}, 1);
  CHECK(tree.value == Approx(2));
  CHECK(labels(tree) == std::vector<std::string>{"experts", "share touched"});
  CHECK(tree.parts[1].value == Approx(0.25));
  CHECK(recomputed(tree) == Approx(tree.value));
  CHECK(tree.parts[1].why == "all are chosen alike: an upper estimate");
  Deployment skewed;
  skewed.expert_skew = 0.5;
  CHECK(explain_experts(catalog().model("mixtral-8x7b"), skewed, 1).parts[1].why ==
        "the i-th most popular is chosen like i^-0.5");
}

TEST_CASE("a window is a factor of its own: 1,024 of 8,192 tokens") {
  Node tree = explain_reductions(catalog().model("gemma-3-27b"), {}, 8192);
  const auto windowed = std::find_if(tree.parts.begin(), tree.parts.end(),
                                     [](const Node& n) { return n.label.find("sliding") != std::string::npos; });
  REQUIRE(windowed != tree.parts.end());
  REQUIRE(labels(*windowed) == std::vector<std::string>{"as MHA in bf16, every token", "head sharing", "window"});
  CHECK(windowed->parts[1].value == Approx(0.5));
  CHECK(windowed->parts[2].value == Approx(0.125));
}

TEST_CASE("a node's rule makes of its parts what it says, whatever the node claims") {
  auto leaf = [](double value) { return Node{"", value, Measure::count, Rule::given, "", {}}; };
  auto made = [&](Rule rule) { return recomputed({"", -1, Measure::count, rule, "", {leaf(7), leaf(2), leaf(3)}}); };
  CHECK(made(Rule::sum) == 12);
  CHECK(made(Rule::product) == 42);
  CHECK(made(Rule::slowest) == 7);
  CHECK(made(Rule::rest) == 2);
  CHECK(made(Rule::given) == -1);
}

TEST_CASE("what an encoder left is no window") {
  Node tree = explain_reductions(catalog().model("llama-3.2-11b-vision"), {}, 100'000);
  REQUIRE(tree.parts.size() == 2);
  CHECK(tree.parts[1].label == "8 x cross");
  CHECK(labels(tree.parts[1]) == std::vector<std::string>{"as MHA in bf16, every token", "head sharing"});
  CHECK(tree.parts[1].parts[0].value == 8 * 6404 * 32 * 256 * 2.0);
}
