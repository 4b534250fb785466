// vLLM's blocks: one pool of equal pages that groups of layers share, smaller groups padded to the others. Rules:
// vllm/v1/core/kv_cache_utils.py and v1/kv_cache_interface.py @001cabc1.
#include <algorithm>
#include <cmath>

#include "core/layout.h"

namespace kvroof {
namespace {

/// The state with the columns a draft adds: all known hybrids convolve over four tokens and keep three.
Bytes state_page(const CacheType& t, const Deployment& d) {
  constexpr double kept_columns = 3;
  return (1 + double(d.draft_tokens) / kept_columns) * t.conv + t.state;
}

/// The attention block is stretched until one page of it holds a whole recurrent state
/// (Platform._align_hybrid_block_size); the state's page is padded up to it.
i64 hybrid_block(const Rank& r) {
  i64 block = r.engine.block_tokens;
  Bytes state, token;
  for (const CacheType& t : r.types) {
    state = larger(state, state_page(t, r.deployment));
    token = larger(token, t.token());
  }
  if (state.value == 0 || token.value == 0) return block;
  return std::max(block, block * i64(std::ceil(state / (token * double(block)) - 1e-9)));
}

/// Tokens of the longest request admitted, for which blocks are counted.
i64 longest_request(const Rank& r) {
  return r.deployment.max_context > 0 ? r.deployment.max_context : r.workload.context;
}

/// Layers of one group: the smallest type's count, or the largest's when that is less than half as many again.
i64 layers_per_group(const std::vector<CacheType>& types) {
  i64 least = types[0].layers, most = types[0].layers;
  for (const CacheType& t : types) {
    least = std::min(least, t.layers);
    most = std::max(most, t.layers);
  }
  return 2 * most < 3 * least ? most : least;
}

i64 blocks_for(const CacheType& t, i64 block, i64 context, const Deployment& d) {
  if (t.cross_tokens > 0) return ceil_div(t.cross_tokens, block);
  if (!t.grows()) return (d.prefix_caching ? 2 : 1) + d.draft_tokens;
  if (t.limit == 0) return ceil_div(kept_by(t, context, d), block);
  if (t.is_chunk) return ceil_div(std::min(t.limit + d.batched_tokens, context), block);
  return ceil_div(std::min(t.limit - 1 + d.batched_tokens, context), block) + 1;
}

/// Types that differ only in width (an indexer beside a latent, layers with fewer heads) grow together: one block spans
/// them all and nothing is padded (UniformTypeKVCacheSpecs).
bool is_uniform(const std::vector<CacheType>& types) {
  return std::all_of(types.begin(), types.end(), [](const CacheType& t) { return t.grows() && t.limit == 0; });
}

struct Grouping {
  i64 groups = 0;       ///< over all types
  i64 least_block = 0;  ///< tokens
  i64 shared = 0;       ///< blocks of a common prefix
};

/// The groups of layers with pages of `page` bytes, `size` layers each.
Grouping add_groups(Allocation& a, const Rank& r, i64 block, Bytes page, i64 size) {
  Grouping all;
  for (const CacheType& t : r.types) {
    CacheGroup group;
    group.kind = t.kind;
    group.layers = t.layers;
    group.page = page;
    group.block_tokens = t.token().value > 0 ? std::max(block, whole(page / t.token())) : block;
    i64 groups = ceil_div(t.layers, size);
    group.padding = groups * size - t.layers;
    i64 context = longest_request(r);
    i64 shared = groups * shared_tokens(t, r, group.block_tokens) / group.block_tokens;
    group.blocks_per_sequence = groups * blocks_for(t, group.block_tokens, context, r.deployment) - shared;
    group.per_sequence = double(group.blocks_per_sequence * size) * page;
    a.blocks_per_sequence += group.blocks_per_sequence;
    a.per_sequence += group.per_sequence;
    a.shared += double(shared * size) * page;
    all.shared += shared;
    all.groups += groups;
    all.least_block = all.least_block == 0 ? group.block_tokens : std::min(all.least_block, group.block_tokens);
    a.groups.push_back(std::move(group));
  }
  a.block = double(size) * page;
  return all;
}

Grouping add_uniform_groups(Allocation& a, const Rank& r, i64 block) {
  i64 context = longest_request(r);
  i64 shared = shared_tokens(r.types[0], r, block) / block;
  a.blocks_per_sequence = ceil_div(kept_by(r.types[0], context, r.deployment), block) - shared;
  for (const CacheType& t : r.types) {
    CacheGroup group{std::string(t.kind), t.layers, 0, block, double(block) * t.per_token(), a.blocks_per_sequence, {}};
    group.per_sequence = double(a.blocks_per_sequence * t.layers) * group.page;
    a.block += double(t.layers) * group.page;
    a.per_sequence += group.per_sequence;
    a.shared += double(shared * t.layers) * group.page;
    a.groups.push_back(std::move(group));
  }
  return {1, block, shared};
}

}  // namespace

Allocation allocate_paged(const Rank& r, Bytes room) {
  Allocation a;
  a.groups.reserve(r.types.size());
  i64 block = hybrid_block(r);
  i64 context = longest_request(r);
  Grouping grouping;
  if (is_uniform(r.types)) {
    grouping = add_uniform_groups(a, r, block);
  } else {
    Bytes page;  // the largest page; types with smaller ones get a longer block
    for (const CacheType& t : r.types) page = larger(page, double(block) * t.token());
    if (page.value == 0)
      for (const CacheType& t : r.types) page = larger(page, larger(state_page(t, r.deployment), t.constant()));
    i64 size = r.types.size() == 1 ? r.types[0].layers : layers_per_group(r.types);
    grouping = add_groups(a, r, block, page, size);
  }
  a.blocks = whole(room / a.block);
  a.used = double(a.blocks) * a.block;
  a.concurrency = double(a.blocks) / double(a.blocks_per_sequence + grouping.shared);  // the log knows of no prefix
  i64 own = a.blocks - grouping.shared;
  a.max_sequences = own < 0 ? 0 : a.blocks_per_sequence > 0 ? own / a.blocks_per_sequence : i64(9e18);
  a.max_tokens = r.engine.reports_requests ? whole(a.concurrency * double(context))
                                           : a.blocks / grouping.groups * grouping.least_block;
  return a;
}

}  // namespace kvroof
