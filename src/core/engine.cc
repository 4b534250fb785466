#include "core/engine.h"

namespace kvroof {

std::vector<Problem> problems(const Engine& engine) {
  std::vector<Problem> found;
  if (engine.block_tokens < 1) found.push_back({"block_tokens", "must be at least 1", ""});
  if (engine.block_tokens > 1 << 20) found.push_back({"block_tokens", "must be at most 1,048,576", ""});
  if (!(engine.memory_fraction > 0 && engine.memory_fraction <= 1))
    found.push_back({"memory_fraction", "must lie in (0, 1]", ""});
  if (!(engine.sliding_ratio > 0 && engine.sliding_ratio <= 1))
    found.push_back({"sliding_ratio", "must lie in (0, 1]", ""});
  if (engine.expert_hidden_tile < 1) found.push_back({"expert_hidden_tile", "must be at least 1", ""});
  if (engine.expert_width_tile < 1) found.push_back({"expert_width_tile", "must be at least 1", ""});
  if (!(engine.k_quants > 0 && engine.k_quants <= 1)) found.push_back({"k_quants", "must lie in (0, 1]", ""});
  if (engine.slots_per_request < 1) found.push_back({"slots_per_request", "must be at least 1", ""});
  if (engine.state_ratio < 0) found.push_back({"state_ratio", "must not be negative", ""});
  return found;
}

std::string_view name_of(Layout layout) {
  constexpr std::string_view names[] = {"exact", "paged", "token_pool", "paged_up", "cells"};
  return names[int(layout)];
}

}  // namespace kvroof
