// A made-up kind of attention for docs/adding.md: the last `window` tokens whole, and every `stride`-th one before
// them.
#pragma once

#include <algorithm>

#include "core/attention.h"

namespace kvroof {

struct DilatedAttention {
  Heads heads;
  i64 window = 0;
  i64 stride = 1;
  static constexpr std::string_view name = "dilated";
  i64 kept(i64 tokens) const {
    i64 near = std::min(tokens, window);
    return near + (tokens - near) / stride;
  }
  Parts stored(i64 tokens) const { return FullAttention{heads}.stored(kept(tokens)); }
  Parts moved(i64 tokens) const { return stored(tokens); }
  Flops flops(i64 tokens) const { return FullAttention{heads}.flops(kept(tokens)); }
  i64 shards() const { return heads.kv; }
  bool operator==(const DilatedAttention&) const = default;
};

}  // namespace kvroof
