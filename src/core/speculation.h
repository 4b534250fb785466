// Speculative decoding: a draft model proposes tokens one by one, one step of the target checks them all.
//
// With acceptance a and γ drafted tokens a cycle yields (1 - a^(γ+1)) / (1 - a) tokens (Leviathan et al. 2023, eq. 1),
// γ + 1 at a = 1, and costs γ steps of the draft and one target step over γ + 1 tokens a sequence. The KV cache is read
// once a cycle, not once per drafted token. Draft and target lie in the same memory.
#pragma once

#include "core/step.h"

namespace kvroof {

struct Draft {
  Model model;
  i64 length = 4;           ///< tokens drafted a cycle
  double acceptance = 0.7;  ///< probability that the target keeps a drafted token
};

struct Speculated {
  Step verify;          ///< of the target, over length + 1 tokens a sequence
  Step draft;           ///< one step of the draft
  i64 length = 0;       ///< tokens drafted a cycle
  double accepted = 1;  ///< tokens a cycle yields for each sequence
  Seconds cycle;        ///< all draft steps and the verification
  Seconds floor;        ///< per token, were every draft accepted
  Seconds expected;     ///< per token
  Seconds low, high;    ///< 80 % range of a token
  double tokens_per_second = 0;
};

/// Tokens a cycle yields. `acceptance` in [0, 1].
double accepted_tokens(double acceptance, i64 length);

/// How the draft is laid out beside its target: the same ranks, as far as they divide its heads.
Deployment draft_deployment(const Draft& draft, const Deployment& target);

Speculated speculate(const Model& model, const Draft& draft, const Device& device, const Deployment& deployment,
                     const Workload& workload, const Engine& engine, const RangeRule& range);

/// All times by a measurement over the expected time, as `anchored` of a step.
Speculated anchored(Speculated speculated, double ratio, const RangeRule& range);

/// The target's memory with the draft's weights and caches in the same room.
Memory with_draft(const Memory& target, const Draft& draft, const Deployment& deployment, const Workload& workload,
                  const Engine& engine);

std::vector<Problem> problems(const Model& model, const Draft& draft);

}  // namespace kvroof
