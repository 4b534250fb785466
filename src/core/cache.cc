#include "core/cache.h"

#include <algorithm>
#include <cmath>

namespace kvroof {
namespace {

const Format& format_of(Role role, const CacheFormats& formats) {
  switch (role) {
    case Role::key:
    case Role::latent: return formats.key;
    case Role::value: return formats.value;
    case Role::index: return formats.index;
    case Role::conv: return formats.conv;
    case Role::state: return formats.state;
  }
  return formats.key;
}

bool is_growing(const Attention& a) {
  return std::holds_alternative<FullAttention>(a) || std::holds_alternative<LatentAttention>(a);
}

bool is_windowed(const Attention& a) {
  return std::holds_alternative<SlidingAttention>(a) || std::holds_alternative<ChunkedAttention>(a);
}

/// One f32 score per kept token and KV head: what H2O keeps beside the cache.
Bytes score_bytes(const LayerGroup& group, i64 kept, const Eviction& eviction) {
  if (eviction.kind != EvictionKind::heavy_hitters || !is_growing(group.attention)) return {};
  const Heads* heads = heads_of(group.attention);
  return {4.0 * double(kept) * double(heads ? heads->kv : 1)};
}

template <class Predicate>
Bytes one_token(const Model& model, const Deployment& deployment, Predicate grows) {
  Bytes sum;
  for (const LayerGroup& g : model.layers)
    if (grows(g.attention) && !g.shares_kv) sum += double(g.count) * bytes_of(stored(g.attention, 1), deployment.cache);
  return sum;
}

}  // namespace

Bytes bytes_of(const Parts& parts, const CacheFormats& formats) {
  Bytes sum;
  for (const Part& p : parts) sum += format_of(p.role, formats).size(p.elements, p.vector);
  return sum;
}

double rank_share(const Attention& attention, i64 tp) {
  i64 n = shards(attention);
  return double(ceil_div(n, tp)) / double(n);
}

i64 kept_tokens(const Attention& attention, i64 tokens, const Eviction& eviction) {
  if (eviction.kind == EvictionKind::none || !is_growing(attention)) return tokens;
  if (eviction.kind == EvictionKind::streaming) return std::min(tokens, eviction.sinks + eviction.window);
  i64 budget = eviction.budget_share > 0 ? i64(std::ceil(eviction.budget_share * double(tokens) - 1e-9))
                                         : eviction.budget_tokens;
  return std::min(tokens, std::max<i64>(budget, 1));
}

Bytes layer_stored(const LayerGroup& group, i64 tokens, const Deployment& deployment) {
  if (group.shares_kv) return {};
  i64 kept = kept_tokens(group.attention, tokens, deployment.eviction);
  return bytes_of(stored(group.attention, kept), deployment.cache) + score_bytes(group, kept, deployment.eviction);
}

Bytes layer_moved(const LayerGroup& group, i64 tokens, const Deployment& deployment) {
  i64 kept = kept_tokens(group.attention, tokens, deployment.eviction);
  return bytes_of(moved(group.attention, kept), deployment.cache) + score_bytes(group, kept, deployment.eviction);
}

Bytes sequence_cache(const Model& model, i64 tokens, const Deployment& deployment) {
  Bytes sum;
  for (const LayerGroup& g : model.layers) sum += double(g.count) * layer_stored(g, tokens, deployment);
  return sum;
}

Bytes cache_per_token(const Model& model, const Deployment& deployment) {
  return one_token(model, deployment, [](const Attention& a) { return is_growing(a); });
}

Bytes cache_per_token_within_windows(const Model& model, const Deployment& deployment) {
  return one_token(model, deployment, [](const Attention& a) { return is_growing(a) || is_windowed(a); });
}

Bytes state_per_sequence(const Model& model, const Deployment& deployment) {
  return one_token(model, deployment, [](const Attention& a) { return !is_growing(a) && !is_windowed(a); });
}

i64 stage_layers(i64 count, i64 stage, i64 pp) { return count * (stage + 1) / pp - count * stage / pp; }

}  // namespace kvroof
