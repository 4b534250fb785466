// One function per layout; all start from the same view of a rank: cache types with their layers merged.
#include "core/allocation.h"

#include <algorithm>
#include <cmath>

namespace kvroof {
namespace {

/// Layers of one rank that cache alike, whatever their feed-forward.
struct CacheType {
  std::string kind;
  i64 layers = 0;
  Bytes per_token;  ///< of one layer on this rank; 0 for states and cross-attention
  Bytes constant;   ///< of one layer and sequence, independent of the context
  i64 limit = 0;    ///< window or chunk; 0 when it grows without end
  bool is_chunk = false;
  i64 cross_tokens = 0;
};

i64 limit_of(const Attention& a) {
  if (const auto* s = std::get_if<SlidingAttention>(&a)) return s->window;
  if (const auto* c = std::get_if<ChunkedAttention>(&a)) return c->chunk;
  return 0;
}

CacheType cache_type(const LayerGroup& group, i64 layers, const Deployment& d) {
  CacheType type;
  type.kind = kind_name(group.attention);
  type.layers = layers;
  double share = rank_share(group.attention, d.tp);
  if (std::holds_alternative<RecurrentState>(group.attention)) {
    type.constant = share * bytes_of(stored(group.attention, 1), d.cache);
  } else if (const auto* cross = std::get_if<CrossAttention>(&group.attention)) {
    type.cross_tokens = cross->encoder_tokens;
    type.constant = share * bytes_of(stored(group.attention, 1), d.cache);
  } else {
    type.per_token = share * bytes_of(stored(group.attention, 1), d.cache);
    type.limit = limit_of(group.attention);
    type.is_chunk = std::holds_alternative<ChunkedAttention>(group.attention);
  }
  return type;
}

std::vector<CacheType> cache_types(const Model& model, const Deployment& d, i64 stage) {
  std::vector<CacheType> types;
  for (const LayerGroup& group : model.layers) {
    if (group.shares_kv || std::holds_alternative<NoAttention>(group.attention)) continue;
    CacheType type = cache_type(group, stage_layers(group.count, stage, d.pp), d);
    if (type.layers == 0) continue;
    auto same = [&](const CacheType& t) {
      return t.kind == type.kind && t.limit == type.limit && t.per_token == type.per_token &&
             t.constant == type.constant;
    };
    auto found = std::find_if(types.begin(), types.end(), same);
    if (found == types.end())
      types.push_back(type);
    else
      found->layers += type.layers;
  }
  return types;
}

/// Tokens of a growing type after eviction; windows bound the others.
i64 kept_by(const CacheType& type, i64 context, const Deployment& d) {
  if (type.limit > 0) return std::min(context, type.limit);
  return kept_tokens(FullAttention{}, context, d.eviction);
}

Bytes ideal_bytes(const std::vector<CacheType>& types, const Deployment& d, const Workload& w) {
  Bytes sum;
  for (const CacheType& t : types)
    sum += double(t.layers) * (t.constant + double(kept_by(t, w.context, d)) * t.per_token);
  return sum;
}

i64 whole(double count) { return count > 9e18 ? i64(9e18) : count < 0 ? 0 : i64(std::floor(count * (1 + 1e-15))); }

i64 sequences_in(Bytes room, Bytes per_sequence) {
  return per_sequence.value > 0 ? whole(room / per_sequence) : room.value >= 0 ? i64(9e18) : 0;
}

// ---- exact ---------------------------------------------------------------------------------------------

Allocation allocate_exact(const std::vector<CacheType>& types, const Deployment& d, const Workload& w, Bytes room) {
  Allocation a;
  Bytes shared;  // a common prefix is stored once
  for (const CacheType& t : types) {
    CacheGroup group{t.kind, t.layers, 0, 1, t.per_token, 0, {}};
    i64 kept = kept_by(t, w.context, d);
    i64 prefix = t.limit == 0 && t.per_token.value > 0 ? std::min(w.shared_prefix, kept) : 0;
    group.per_sequence = double(t.layers) * (t.constant + double(kept - prefix) * t.per_token);
    shared += double(t.layers) * double(prefix) * t.per_token;
    a.per_sequence += group.per_sequence;
    a.groups.push_back(std::move(group));
  }
  a.max_sequences = sequences_in(room - shared, a.per_sequence);
  a.concurrency = a.per_sequence.value > 0 ? std::max(0.0, (room - shared) / a.per_sequence) : 0;
  Bytes per_token;
  for (const CacheType& t : types) per_token += double(t.layers) * t.per_token;
  a.max_tokens = per_token.value > 0 ? whole(a.concurrency * double(w.context)) : 0;
  a.used = shared + double(a.max_sequences) * a.per_sequence;
  return a;
}

// ---- paged: vLLM ---------------------------------------------------------------------------------------

/// vLLM stretches the attention block until one page of it holds a whole recurrent state
/// (Platform._align_hybrid_block_size); the state's page is padded up to it.
i64 hybrid_block(const std::vector<CacheType>& types, i64 block) {
  Bytes state, token;
  for (const CacheType& t : types) {
    if (t.kind == RecurrentState::name)
      state = larger(state, t.constant);
    else if (t.per_token.value > 0)
      token = larger(token, t.per_token);
  }
  if (state.value == 0 || token.value == 0) return block;
  return std::max(block, block * i64(std::ceil(state / (token * double(block)) - 1e-9)));
}

/// Layers of one group: the smallest type's count, or the largest's when that is less than half as many
/// again (kv_cache_utils.py).
i64 layers_per_group(const std::vector<CacheType>& types) {
  i64 least = types[0].layers, most = types[0].layers;
  for (const CacheType& t : types) {
    least = std::min(least, t.layers);
    most = std::max(most, t.layers);
  }
  return 2 * most < 3 * least ? most : least;
}

i64 blocks_for(const CacheType& t, i64 block, i64 context, const Deployment& d) {
  if (t.kind == RecurrentState::name) return (d.prefix_caching ? 2 : 1) + d.draft_tokens;
  if (t.cross_tokens > 0) return ceil_div(t.cross_tokens, block);
  if (t.limit == 0) return ceil_div(kept_by(t, context, d), block);
  if (t.is_chunk) return ceil_div(std::min(t.limit + d.batched_tokens, context), block);
  return ceil_div(std::min(t.limit - 1 + d.batched_tokens, context), block) + 1;
}

Allocation allocate_paged(const std::vector<CacheType>& types, const Deployment& d, const Workload& w,
                          const Engine& engine, Bytes room) {
  Allocation a;
  i64 block = hybrid_block(types, engine.block_tokens);
  i64 context = d.max_context > 0 ? d.max_context : w.context;
  Bytes page;  // the largest page; smaller ones get a longer block
  for (const CacheType& t : types) page = larger(page, double(block) * t.per_token);
  if (page.value == 0)
    for (const CacheType& t : types) page = larger(page, t.constant);
  bool one_type = types.size() == 1;
  i64 size = one_type ? types[0].layers : layers_per_group(types);
  i64 group_count = 0, blocks_per_sequence = 0, least_block = 0;
  for (const CacheType& t : types) {
    CacheGroup group;
    group.kind = t.kind;
    group.layers = t.layers;
    group.page = page;
    i64 stretched = t.per_token.value > 0 ? std::max<i64>(block, whole(page / t.per_token)) : block;
    group.block_tokens = stretched;
    i64 groups = ceil_div(t.layers, size);
    group.padding = groups * size - t.layers;
    group.blocks_per_sequence = groups * blocks_for(t, stretched, context, d);
    group.per_sequence = double(group.blocks_per_sequence * size) * page;
    group_count += groups;
    blocks_per_sequence += group.blocks_per_sequence;
    least_block = least_block == 0 ? stretched : std::min(least_block, stretched);
    a.per_sequence += group.per_sequence;
    a.groups.push_back(std::move(group));
  }
  a.blocks = whole(room / (page * double(size)));
  a.used = double(a.blocks * size) * page;
  a.concurrency = double(a.blocks) / double(blocks_per_sequence);
  a.max_sequences = a.blocks / blocks_per_sequence;
  a.max_tokens =
      engine.reports_requests ? whole(a.concurrency * double(context)) : a.blocks / group_count * least_block;
  return a;
}

// ---- token pool: SGLang --------------------------------------------------------------------------------

/// Full and sliding layers have a pool each, sized so that the sliding pool has `sliding_ratio` of the
/// full pool's tokens; recurrent states take their share of the memory first.
Allocation allocate_token_pool(const std::vector<CacheType>& types, const Workload& w, const Engine& engine,
                               Bytes room) {
  Allocation a;
  Bytes full, sliding, state;
  bool has_full = false;
  for (const CacheType& t : types) {
    if (t.per_token.value == 0)
      state += double(t.layers) * t.constant;
    else if (t.limit > 0)
      sliding += double(t.layers) * t.per_token;
    else {
      full += double(t.layers) * t.per_token;
      has_full = true;
    }
  }
  double ratio = has_full ? engine.sliding_ratio : 1;
  Bytes for_states = state.value > 0 ? room * (engine.state_ratio / (1 + engine.state_ratio)) : Bytes{};
  Bytes cell = full + ratio * sliding;
  i64 tokens = cell.value > 0 ? whole(std::floor((room - for_states).value) / cell.value) : 0;
  i64 slots = state.value > 0 ? whole(for_states / state) - engine.state_slots : i64(9e18);
  for (const CacheType& t : types) {
    CacheGroup group{t.kind, t.layers, 0, 1, t.per_token, 0, {}};
    double per_token_tokens = t.limit > 0 ? ratio * double(w.context) : double(w.context);
    group.per_sequence = double(t.layers) * (t.constant + per_token_tokens * t.per_token);
    a.per_sequence += group.per_sequence;
    a.groups.push_back(std::move(group));
  }
  a.max_tokens = tokens;
  i64 by_tokens = cell.value > 0 ? tokens / w.context : i64(9e18);
  a.max_sequences = std::max<i64>(0, std::min(by_tokens, slots));
  a.concurrency = double(a.max_sequences);
  if (cell.value > 0 && by_tokens <= slots) a.concurrency = double(tokens) / double(w.context);
  a.used = double(tokens) * cell + (state.value > 0 ? double(slots + engine.state_slots) * state : Bytes{});
  return a;
}

// ---- paged up: TensorRT-LLM ----------------------------------------------------------------------------

Allocation allocate_paged_up(const std::vector<CacheType>& types, const Deployment& d, const Workload& w,
                             const Engine& engine, Bytes room) {
  Allocation a;
  Bytes per_token, constant;
  for (const CacheType& t : types) {
    per_token += double(t.layers) * t.per_token;
    constant += double(t.layers) * t.constant;
    i64 kept = round_up(kept_by(t, w.context, d), engine.block_tokens);
    CacheGroup group{t.kind, t.layers, 0, engine.block_tokens, double(engine.block_tokens) * t.per_token, 0, {}};
    group.blocks_per_sequence = t.per_token.value > 0 ? kept / engine.block_tokens : 0;
    group.per_sequence = double(t.layers) * (t.constant + double(t.per_token.value > 0 ? kept : 0) * t.per_token);
    a.per_sequence += group.per_sequence;
    a.groups.push_back(std::move(group));
  }
  if (per_token.value > 0) {
    a.blocks = i64(std::ceil(std::max(0.0, room / (per_token * double(engine.block_tokens))) - 1e-9));
    a.max_tokens = a.blocks * engine.block_tokens;
  }
  a.used = double(a.max_tokens) * per_token;
  a.concurrency = a.per_sequence.value > 0 ? std::max(0.0, a.used / a.per_sequence) : 0;
  a.max_sequences = sequences_in(per_token.value > 0 ? a.used : room, a.per_sequence);
  return a;
}

// ---- cells: llama.cpp ----------------------------------------------------------------------------------

/// Cells come in multiples of block_tokens (256). A unified cache serves all sequences, so windowed layers
/// hold window * sequences + one micro-batch.
Bytes cells_bytes(const std::vector<CacheType>& types, const Deployment& d, const Workload& w, const Engine& engine,
                  i64 sequences, std::vector<CacheGroup>* groups) {
  Bytes sum;
  i64 context = round_up(w.context, engine.block_tokens) * sequences;
  for (const CacheType& t : types) {
    i64 cells = t.limit > 0 ? round_up(std::min(context, t.limit * sequences + d.batched_tokens), engine.block_tokens)
                            : context;
    Bytes bytes =
        double(t.layers) * (double(sequences) * t.constant + double(t.per_token.value > 0 ? cells : 0) * t.per_token);
    if (groups)
      groups->push_back(
          {t.kind, t.layers, 0, engine.block_tokens, double(engine.block_tokens) * t.per_token, 0, bytes});
    sum += bytes;
  }
  return sum;
}

Allocation allocate_cells(const std::vector<CacheType>& types, const Deployment& d, const Workload& w,
                          const Engine& engine, Bytes room) {
  Allocation a;
  a.per_sequence = cells_bytes(types, d, w, engine, 1, &a.groups);
  i64 low = 0, high = a.per_sequence.value > 0 ? 1 : 0;
  while (high > 0 && high < (i64(1) << 40) && cells_bytes(types, d, w, engine, high, nullptr) <= room)
    low = high, high *= 2;
  while (high - low > 1) {
    i64 middle = low + (high - low) / 2;
    (cells_bytes(types, d, w, engine, middle, nullptr) <= room ? low : high) = middle;
  }
  a.max_sequences = low;
  a.concurrency = double(low);
  a.max_tokens = low * round_up(w.context, engine.block_tokens);
  a.used = low > 0 ? cells_bytes(types, d, w, engine, low, nullptr) : Bytes{};
  return a;
}

}  // namespace

Allocation allocate(const Model& model, const Deployment& deployment, const Workload& workload, const Engine& engine,
                    i64 stage, Bytes room) {
  std::vector<CacheType> types = cache_types(model, deployment, stage);
  Allocation a;
  if (!types.empty()) {
    room = larger(room, Bytes{});
    switch (engine.layout) {
      case Layout::exact: a = allocate_exact(types, deployment, workload, room); break;
      case Layout::paged: a = allocate_paged(types, deployment, workload, engine, room); break;
      case Layout::token_pool: a = allocate_token_pool(types, workload, engine, room); break;
      case Layout::paged_up: a = allocate_paged_up(types, deployment, workload, engine, room); break;
      case Layout::cells: a = allocate_cells(types, deployment, workload, engine, room); break;
    }
  } else {
    a.max_sequences = i64(9e18);  // a stage without caches never binds
  }
  a.ideal_per_sequence = ideal_bytes(types, deployment, workload);
  return a;
}

}  // namespace kvroof
