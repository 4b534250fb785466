// Distinct experts of a layer, even and skewed: numbers that can be worked out by hand, and laws.
#include "core/experts.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>

#include "catalog/catalog.h"
#include "core/step.h"

namespace kvroof {
namespace {

MoeFeedForward moe_of(i64 experts, i64 top_k) {
  MoeFeedForward moe;
  moe.experts = experts;
  moe.top_k = top_k;
  return moe;
}

TEST_CASE("distinct experts under uniform routing") {
  MoeFeedForward moe = moe_of(256, 8);
  CHECK(distinct_experts(moe, 1) == Approx(8));
  CHECK(distinct_experts(moe, 2) == Approx(256 * (1 - 0.96875 * 0.96875)));
  CHECK(distinct_experts(moe, 1e6) == Approx(256));
  CHECK(distinct_experts(moe_of(8, 8), 5) == 8);
}

TEST_CASE("skewed: three experts of which one is chosen, at exponent 1 as 6, 3 and 2 in 11") {
  MoeFeedForward moe = moe_of(3, 1);
  std::vector<double> p = expert_chances(moe, 1);
  CHECK(p[0] == Approx(6.0 / 11));
  CHECK(p[1] == Approx(3.0 / 11));
  CHECK(p[2] == Approx(2.0 / 11));
  // Two tokens: 3 - (25 + 64 + 81) / 121 = 193 / 121; evenly 3 - 3 * 4/9 = 5/3.
  CHECK(distinct_experts(moe, 2, 1) == Approx(193.0 / 121));
  CHECK(distinct_experts(moe, 2) == Approx(5.0 / 3));
}

TEST_CASE("an expert can't be chosen more than once by a token: what would pass 1 is 1, the rest share") {
  // 2 of 4 at exponent 3: shares 1, 1/8, 1/27, 1/64. Scaled to sum to 2 the first is 1.70, so it is 1, and the other
  // three share the second choice as 216, 64 and 27 in 307.
  std::vector<double> p = expert_chances(moe_of(4, 2), 3);
  CHECK(p[0] == 1);
  CHECK(p[1] == Approx(216.0 / 307));
  CHECK(p[2] == Approx(64.0 / 307));
  CHECK(p[3] == Approx(27.0 / 307));
  CHECK(distinct_experts(moe_of(4, 2), 1, 3) == Approx(2));
}

TEST_CASE("more skew never reads more, more tokens never fewer, and never fewer than one token chooses") {
  for (auto [experts, k] : {std::pair<i64, i64>{8, 2}, {128, 4}, {256, 8}, {16, 1}}) {
    MoeFeedForward moe = moe_of(experts, k);
    for (double tokens : {1.0, 2.0, 7.0, 64.0, 1000.0}) {
      double before = distinct_experts(moe, tokens);
      for (double skew : {1e-6, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0}) {
        double now = distinct_experts(moe, tokens, skew);
        INFO(experts << " experts, " << k << " a token, " << tokens << " tokens, skew " << skew);
        CHECK(now <= before * (1 + 1e-12));
        CHECK(now >= double(k));
        CHECK(distinct_experts(moe, tokens + 1, skew) >= now);
        CHECK(busiest_rank_experts(moe, tokens, 4, skew) >= now / 4 * (1 - 1e-12));
        std::vector<double> p = expert_chances(moe, skew);
        CHECK(std::accumulate(p.begin(), p.end(), 0.0) == Approx(double(k)));
        before = now;
      }
    }
    CHECK(distinct_experts(moe, 64, 1e-9) == Approx(distinct_experts(moe, 64)));
  }
}

TEST_CASE("the skew is found again from what it touches; what no skew gives has none") {
  MoeFeedForward moe = moe_of(128, 4);
  for (double skew : {0.3, 1.0, 2.5}) CHECK(*skew_of(moe, 16, distinct_experts(moe, 16, skew)) == Approx(skew));
  CHECK(*skew_of(moe, 16, distinct_experts(moe, 16)) == Approx(0).margin(1e-6));
  CHECK(!skew_of(moe, 16, 64));  // evenly 16 tokens touch 51
  CHECK(!skew_of(moe, 16, 2));
}

TEST_CASE("no skew is the step as it was; skew never slows a step, never beats the floor, leaves dense models alone") {
  const Catalog& catalog = Catalog::built_in();
  for (const char* name : {"gpt-oss-120b", "deepseek-v3", "mixtral-8x7b", "llama-3.1-70b"})
    for (i64 ep : {1, 8}) {
      Model model = catalog.model(name);
      if (ep > 1 && (!experts_of(model) || experts_of(model)->experts < ep)) continue;
      Deployment d;
      d.tp = 8;
      d.ep = ep;
      auto step = [&](double skew) {
        d.expert_skew = skew;
        return decode_step(model, catalog.device("h200-sxm"), d, {4096, 32, 0}, catalog.engine("vllm"), {0.9, 1.2});
      };
      Step even = step(0), steep = step(1.2);
      INFO(name << " ep " << ep);
      CHECK(steep.floor == even.floor);
      CHECK(steep.expected <= even.expected);
      CHECK(steep.low >= steep.floor);
      // With one expert a rank the busiest reads its own whatever the others do.
      bool has_choice = experts_of(model) && experts_of(model)->experts > ep;
      CHECK((steep.expected < even.expected) == has_choice);
    }
}

TEST_CASE("even routing has no skew") {
  MoeFeedForward moe;
  moe.experts = 128;
  moe.top_k = 8;
  moe.width = 1;
  CHECK(skew_of(moe, 16, distinct_experts(moe, 16)).value_or(9) == Approx(0).margin(1e-3));
  moe.top_k = 1;
  CHECK(skew_of(moe, 1, 1).value_or(9) == 0);  // one token touches one expert however it is chosen
}

TEST_CASE("the busiest of ranks reads as many more as the largest of so many normal draws lies above the mean") {
  // The mean of the largest of n: the integral of 1 - F^n - (1 - F)^n over the upper half, by steps of 0.001.
  auto largest = [](double n) {
    double sum = 0;
    for (double x = 0.0005; x < 9; x += 0.001) {
      double below = 0.5 * std::erfc(-x / std::sqrt(2.0));
      sum += (1 - std::pow(below, n) - std::pow(1 - below, n)) * 0.001;
    }
    return sum;
  };
  MoeFeedForward moe;
  moe.experts = 1 << 20;
  moe.top_k = 1 << 10;
  for (i64 ranks : {2, 4, 8, 16, 32, 64, 128, 256}) {
    double held = double(moe.experts) / double(ranks), touched = distinct_experts(moe, 500) / double(moe.experts);
    double above = (busiest_rank_experts(moe, 500, ranks) - held * touched) / std::sqrt(held * touched * (1 - touched));
    CHECK(above == Approx(largest(double(ranks))).margin(1e-3));
  }
}

}  // namespace
}  // namespace kvroof
