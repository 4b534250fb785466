#include "core/experts.h"

#include <algorithm>
#include <cmath>

namespace kvroof {
namespace {

/// The expected largest of `count` standard normal draws, at powers of two (order statistics; Harter 1961).
double largest_of(i64 count) {
  constexpr double at[] = {0, 0.5642, 1.0294, 1.4236, 1.7660, 2.0697, 2.3437, 2.5947, 2.8269};
  double log = std::min(8.0, std::log2(double(count)));
  int below = std::min(7, int(log));
  return at[below] + (log - below) * (at[below + 1] - at[below]);
}

}  // namespace

/// Shares of i^-s scaled to sum to k; those that would pass 1 are 1, and the rest shares what they leave.
std::vector<double> expert_chances(const MoeFeedForward& moe, double skew) {
  std::vector<double> p;
  for (i64 i = 0; i < moe.experts; ++i) p.push_back(std::pow(double(i + 1), -skew));
  std::vector<double> rest(p.size() + 1, 0);  // sum of the shares from i on
  for (std::size_t i = p.size(); i-- > 0;) rest[i] = rest[i + 1] + p[i];
  double left = double(std::min(moe.top_k, moe.experts));
  for (std::size_t i = 0; i < p.size(); ++i) {
    double here = left * p[i] / rest[i];
    if (here < 1) {  // the scale now holds for all that follow: none is more popular
      double scale = left / rest[i];
      for (; i < p.size(); ++i) p[i] *= scale;
      break;
    }
    p[i] = 1;
    left -= 1;
  }
  return p;
}

double distinct_experts(const MoeFeedForward& moe, double tokens, double skew) {
  double experts = double(moe.experts), k = double(moe.top_k);
  if (moe.top_k >= moe.experts) return experts;
  if (skew == 0) return std::max(k, experts * -std::expm1(tokens * std::log1p(-k / experts)));
  double sum = 0;
  for (double p : expert_chances(moe, skew)) sum += p < 1 ? -std::expm1(tokens * std::log1p(-p)) : 1;
  return std::max(k, sum);
}

/// Experts lie on ranks without regard to how popular they are, so each slot of a rank is as likely touched as the
/// next: the spread is that of even routing with as many touched.
double busiest_rank_experts(const MoeFeedForward& moe, double tokens, i64 ranks, double skew) {
  double held = double(moe.experts) / double(ranks);
  double touched = distinct_experts(moe, tokens, skew) / double(moe.experts);
  double spread = std::sqrt(held * touched * (1 - touched));
  // Whichever rank is busiest reads one expert at least.
  return std::min(held, std::max(1.0, held * touched + largest_of(ranks) * spread));
}

std::optional<double> skew_of(const MoeFeedForward& moe, double tokens, double distinct) {
  double low = 0, high = steepest_skew;
  if (distinct > distinct_experts(moe, tokens) * (1 + 1e-9) || distinct < distinct_experts(moe, tokens, high))
    return std::nullopt;
  for (int i = 0; i < 60; ++i) {
    double middle = (low + high) / 2;
    // Where the skew makes no difference, rounding does not either: none is the answer.
    (distinct_experts(moe, tokens, middle) > distinct * (1 + 1e-12) ? low : high) = middle;
  }
  return low < 1e-9 ? 0 : low;
}

const MoeFeedForward* experts_of(const Model& model) {
  for (const LayerGroup& g : model.layers)
    if (const auto* moe = std::get_if<MoeFeedForward>(&g.feed_forward)) return moe;
  return nullptr;
}

}  // namespace kvroof
