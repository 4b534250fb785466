// Parameter counts from shapes, exact to the last digit where a family's biases and norms are known.
//
// Each layer group yields its linears (matrices with a name, a role and how TP splits them); everything else
// a layer carries (norms, biases, sinks) is counted beside them. The same linears are the weight reads and
// flops of a decode step, so memory and time can never disagree about a weight.
// Rules per family: the flags of LayerGroup; checked against published totals over the whole catalogue.
#pragma once

#include <string_view>
#include <vector>

#include "core/model.h"

namespace kvroof {

/// Which of a checkpoint's formats a matrix is stored in.
enum class WeightRole { linear, attention, expert, embedding };

/// How tensor parallelism splits a matrix: by query heads, by KV heads (replicated past them), by columns
/// or rows of the feed-forward, or not at all (MLA's down projections, routers).
enum class Split { query_heads, kv_heads, feed_forward, experts, vocabulary, none };

/// `parameters` is of all copies (experts); `active` of those one token passes through.
struct Linear {
  std::string_view name;
  WeightRole role = WeightRole::linear;
  Split split = Split::none;
  i64 parameters = 0;
  i64 active = 0;
  bool fused = false;  ///< rides along in the launch of the matrix before it (q, k and v are one)
};

/// The matrices of one layer of the group, in the order a step runs them.
std::vector<Linear> linears(const Model& model, const LayerGroup& group);
/// Norms, biases, sinks and other small weights of one layer, without its experts'.
i64 small_weights(const Model& model, const LayerGroup& group);
/// Biases of one layer's experts, of all of them: stored as norms are, but split and read with their experts.
i64 expert_biases(const Model& model, const LayerGroup& group);

struct Parameters {
  i64 total = 0;
  i64 active = 0;           ///< one token's path: top-k experts, embeddings included, no encoder
  i64 input_embedding = 0;  ///< rows of the vocabulary; a step reads one row a token
  i64 head = 0;             ///< the output head; 0 when tied
  i64 positions = 0;
  i64 layers = 0;
  i64 encoder = 0;
  i64 other = 0;       ///< other_weights of the model: matrices, split and stored like linears
  i64 final_norm = 0;  ///< final norm and head bias
};

/// Total and active parameters of the model. Total over groups is exact.
Parameters count_parameters(const Model& model);

}  // namespace kvroof
