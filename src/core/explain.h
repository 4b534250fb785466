// The story of a result: a tree in which every node says how it follows from its parts.
//
// explain() only reads results; a node's rule (sum, product, slowest …) re-adds its parts to its own value,
// and a test checks that over the whole catalogue, so the explanation can't drift from the number.
#pragma once

#include <string>
#include <vector>

#include "core/measure.h"
#include "core/step.h"

namespace kvroof {

/// How a node's value follows from its parts. given: stated, or explained in words alone.
/// rest: the first part minus all others.
enum class Rule { given, sum, product, slowest, rest };

struct Node {
  std::string label;
  double value = 0;
  Measure measure = Measure::count;
  Rule rule = Rule::given;
  std::string why;
  std::vector<Node> parts;
};

std::string_view name_of(Rule rule);

/// What the node's rule makes of its parts; the node's own value where the rule is given.
double recomputed(const Node& node);

/// KV cache of one sequence by layer group: count x elements x bytes.
Node explain_cache(const Model& model, const Deployment& deployment, i64 tokens);
/// The same bytes as what is saved: per layer group, the group as MHA in bf16 keeping every token, times one
/// factor for head sharing, window, formats and eviction each. Reductions multiply.
Node explain_reductions(const Model& model, const Deployment& deployment, i64 tokens);
Node explain_memory(const Model& model, const Device& device, const Memory& memory);
Node explain_step(const Step& step);
Node explain_floor(const Step& step);
/// Experts of one layer that `tokens` tokens touch. The model has some.
Node explain_experts(const Model& model, const Deployment& deployment, double tokens);

}  // namespace kvroof
