#include "core/engine.h"

#include <utility>

namespace kvroof {

std::vector<Problem> problems(const Engine& engine) {
  std::vector<Problem> found;
  if (engine.block_tokens < 1) found.push_back({"block_tokens", "must be at least 1", ""});
  if (engine.block_tokens > 1 << 20) found.push_back({"block_tokens", "must be at most 1,048,576", ""});
  const std::pair<const char*, double> shares[] = {{"memory_fraction", engine.memory_fraction},
                                                   {"sliding_ratio", engine.sliding_ratio},
                                                   {"k_quants", engine.k_quants},
                                                   {"expert_compute", engine.expert_compute}};
  for (auto [key, share] : shares)
    if (!(share > 0 && share <= 1)) found.push_back({key, "must lie in (0, 1]", ""});
  if (engine.expert_hidden_tile < 1) found.push_back({"expert_hidden_tile", "must be at least 1", ""});
  if (engine.expert_width_tile < 1) found.push_back({"expert_width_tile", "must be at least 1", ""});
  if (engine.slots_per_request < 1) found.push_back({"slots_per_request", "must be at least 1", ""});
  if (engine.state_ratio < 0) found.push_back({"state_ratio", "must not be negative", ""});
  return found;
}

std::string_view name_of(Layout layout) {
  constexpr std::string_view names[] = {"exact", "paged", "token_pool", "paged_up", "cells"};
  return names[int(layout)];
}

}  // namespace kvroof
