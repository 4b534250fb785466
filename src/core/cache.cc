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

bool is_windowed(const Attention& a) { return limit_of(a) > 0; }

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

Bytes score_bytes(const Attention& attention, i64 kept, const Eviction& eviction) {
  if (eviction.kind != EvictionKind::heavy_hitters || !is_growing(attention)) return {};
  return {4.0 * double(kept) * double(shards(attention))};
}

Bytes layer_stored(const LayerGroup& group, i64 tokens, const Deployment& deployment) {
  if (group.shares_kv) return {};
  i64 kept = kept_tokens(group.attention, tokens, deployment.eviction);
  return bytes_of(stored(group.attention, kept), deployment.cache) +
         score_bytes(group.attention, kept, deployment.eviction);
}

Bytes layer_moved(const LayerGroup& group, i64 tokens, const Deployment& deployment) {
  i64 kept = kept_tokens(group.attention, tokens, deployment.eviction);
  return bytes_of(moved(group.attention, kept), deployment.cache) +
         score_bytes(group.attention, kept, deployment.eviction);
}

Bytes layer_common(const LayerGroup& group, i64 tokens, i64 prefix, const Deployment& deployment) {
  const Attention& a = group.attention;
  const Eviction& eviction = deployment.eviction;
  if (prefix == 0 || (!is_growing(a) && !is_windowed(a))) return {};
  i64 common = kept_in_common(tokens, prefix, eviction);
  if (is_windowed(a))
    common = std::clamp<i64>(limit_of(a) - (tokens - prefix), 0, prefix);
  else if (eviction.kind == EvictionKind::heavy_hitters)
    common = std::min(prefix, kept_tokens(a, tokens, eviction));
  return bytes_of(moved(a, common), deployment.cache);
}

i64 kept_in_common(i64 tokens, i64 prefix, const Eviction& eviction) {
  if (eviction.kind == EvictionKind::none) return prefix;
  if (eviction.kind == EvictionKind::heavy_hitters) return 0;
  i64 kept = kept_tokens(FullAttention{}, tokens, eviction), own = std::min(tokens - prefix, eviction.window);
  return std::clamp<i64>(kept - own, 0, prefix);
}

Bytes layer_shared(const LayerGroup& group, i64 tokens, i64 prefix, const Deployment& deployment) {
  if (prefix == 0 || group.shares_kv || !is_growing(group.attention)) return {};
  return bytes_of(stored(group.attention, kept_in_common(tokens, prefix, deployment.eviction)), deployment.cache);
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

namespace {

/// Layers before stage `stage`: of `left` that do not divide, one goes to each of the stages before the last one.
i64 layers_before(i64 layers, i64 stage, i64 pp) {
  i64 left = layers % pp, first_with_more = pp - 1 - left;
  return layers / pp * stage + std::clamp<i64>(stage - first_with_more, 0, left);
}

/// Layers of each group among the first `count` of all, when the groups alternate as evenly as they can.
std::vector<i64> among_first(const Model& model, i64 all, i64 count) {
  std::vector<i64> taken(model.layers.size());
  for (i64 layer = 1; layer <= count; ++layer) {
    std::size_t next = 0;
    auto behind = [&](std::size_t i) { return model.layers[i].count * layer - taken[i] * all; };
    for (std::size_t i = 1; i < taken.size(); ++i)
      if (behind(i) > behind(next)) next = i;
    ++taken[next];
  }
  return taken;
}

}  // namespace

Stages stages_of(const Engine& engine) { return engine.layout == Layout::paged ? Stages::inner : Stages::spread; }

std::vector<i64> stage_layers(const Model& model, i64 stage, i64 pp, Stages stages) {
  std::vector<i64> held;
  i64 all = 0;
  for (const LayerGroup& g : model.layers) {
    held.push_back(g.count * (stage + 1) / pp - g.count * stage / pp);
    all += g.count;
  }
  if (pp == 1 || stages == Stages::spread) return held;
  std::vector<i64> before = among_first(model, all, layers_before(all, stage, pp));
  held = among_first(model, all, layers_before(all, stage + 1, pp));
  for (std::size_t i = 0; i < held.size(); ++i) held[i] -= before[i];
  return held;
}

}  // namespace kvroof
