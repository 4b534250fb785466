// A rank's layers as an engine's allocator sees them: merged by how they cache, whatever their feed-forward.
//
// Here an engine's view departs from the model's shape: it may store windowed layers in full, give layers that share a
// cache one of their own, pad values to the keys' width, or keep states in a format of its choice.
#pragma once

#include <string_view>
#include <vector>

#include "core/cache.h"
#include "core/engine.h"

namespace kvroof {

struct CacheType {
  std::string_view kind;
  i64 layers = 0;
  Bytes key, value, index;  ///< one token of one layer on this rank, a latent counts as key; cross: all its tokens
  Bytes score;              ///< one token's beside them, where an eviction policy keeps one
  Bytes conv, state;        ///< one sequence of one layer on this rank
  i64 limit = 0;            ///< window or chunk; 0 when it grows without end
  bool is_chunk = false;
  i64 cross_tokens = 0;

  bool grows() const { return cross_tokens == 0 && key.value > 0; }
  Bytes per_token() const { return grows() ? key + value + index + score : Bytes{}; }
  /// One cached token's, an encoder's too; 0 of a state.
  Bytes token() const { return cross_tokens > 0 ? (key + value) / double(cross_tokens) : per_token(); }
  Bytes constant() const { return conv + state + (cross_tokens > 0 ? key + value : Bytes{}); }
};

/// The cache types of pipeline stage `stage`, in order of first appearance; a draft's layers are on the last one.
std::vector<CacheType> cache_types(const Model& model, const Deployment& deployment, const Engine& engine, i64 stage);

/// Tokens of `context` that a type keeps after eviction; windows bound the others.
i64 kept_by(const CacheType& type, i64 context, const Deployment& deployment);

/// The deployment's formats with the engine's own choice of state formats for this model, unless they were given.
CacheFormats formats_in(const Engine& engine, const Model& model, const Deployment& deployment);

}  // namespace kvroof
