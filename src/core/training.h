// What fewer KV heads change in training, and what it costs to give a trained model fewer.
//
// A training token costs 6 flops a parameter it passes (forward 2, backward 4) and, for causal attention, 3 times the
// forward's 2·n_q·(d_k+d_v)·T/2 a layer. State is 16 bytes a parameter: bf16 weights and gradients, f32 master weights
// and Adam's two moments (Rajbhandari et al. 2020, ZeRO, section 3.1). Uptraining takes a share α of the pre-training,
// 5 % in the GQA paper (Ainslie et al. 2023), of 6·N·D flops (Kaplan et al. 2020).
#pragma once

#include <optional>

#include "core/cache.h"
#include "core/parameters.h"

namespace kvroof {

inline constexpr double state_bytes_per_parameter = 16;
inline constexpr double uptraining_share = 0.05;
/// Compute-optimal pre-training (Hoffmann et al. 2022), where the model's own number of tokens is not given.
inline constexpr double optimal_tokens_per_parameter = 20;

struct TrainingCost {
  i64 parameters = 0;
  i64 width = 0;      ///< of the first feed-forward
  Bytes states;       ///< weights, gradients, optimizer
  Bytes activations;  ///< of one sequence, kept for the backward pass
  Flops linears_per_token;
  Flops attention_per_token;
  Flops per_token() const { return linears_per_token + attention_per_token; }
};

/// Training on sequences of `context` tokens.
TrainingCost training_cost(const Model& model, i64 context);

/// The model with feed-forwards widened until it has `parameters` again, as published GQA and MQA models do; unset
/// where it has no feed-forward that could be.
std::optional<Model> widened_to(Model model, i64 parameters);

/// Flops of uptraining a model that was trained on `tokens` tokens.
Flops uptraining_flops(const Model& model, double tokens, double share = uptraining_share);

}  // namespace kvroof
