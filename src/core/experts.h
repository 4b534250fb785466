// Experts that a step reads: how many of a layer's experts a number of tokens touch, evenly or not.
//
// One token touches expert i with probability p_i, and the p_i sum to top_k. N tokens then touch
//   sum_i (1 - (1 - p_i)^N)
// experts (the coupon collector with unequal probabilities: Flajolet, Gardy, Thimonier 1992). Even routing is
// p_i = k/E, which touches most. Skew s makes popularity Zipf-like: p_i = min(1, c·i^-s), with c such that they sum to
// k. The function is concave in every p_i and a larger s majorizes a smaller one, so more skew never reads more
// experts. Only what is read depends on it: how unevenly the ranks of expert parallelism then compute is not modelled.
#pragma once

#include <optional>
#include <vector>

#include "core/model.h"

namespace kvroof {

constexpr double steepest_skew = 10;

/// Chance of each expert, the most popular first, to be chosen by one token.
std::vector<double> expert_chances(const MoeFeedForward& moe, double skew);

/// Distinct experts that `tokens` tokens touch; evenly at skew 0, an upper estimate of what a step reads.
double distinct_experts(const MoeFeedForward& moe, double tokens, double skew = 0);

/// Distinct experts on the busiest of `ranks` that share them, popular and unpopular ones mixed: what the others wait
/// for.
double busiest_rank_experts(const MoeFeedForward& moe, double tokens, i64 ranks, double skew = 0);

/// The skew at which `tokens` tokens touch `distinct` experts; none where even routing touches fewer or the steepest
/// more.
std::optional<double> skew_of(const MoeFeedForward& moe, double tokens, double distinct);

/// The first group of experts in a model; null when there is none.
const MoeFeedForward* experts_of(const Model& model);

}  // namespace kvroof
