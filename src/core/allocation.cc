// The layouts without blocks, and the choice between layouts. vLLM's is in allocation_paged.cc, llama.cpp's in
// allocation_cells.cc.
#include "core/allocation.h"

#include <algorithm>
#include <cmath>

#include "core/layout.h"

namespace kvroof {
namespace {

Bytes ideal_bytes(const Rank& r) {
  Bytes sum;
  for (const CacheType& t : r.types) {
    i64 own = kept_by(t, r.workload.context, r.deployment) - shared_tokens(t, r, 1);
    sum += double(t.layers) * (t.constant() + double(own) * t.per_token());
  }
  return sum;
}

bool has_full_layers(const std::vector<CacheType>& types) {
  return std::any_of(types.begin(), types.end(), [](const CacheType& t) { return t.grows() && t.limit == 0; });
}

/// SGLang's share of the sliding pool; alone it has all the tokens.
double sliding_ratio(const std::vector<CacheType>& types, const Engine& engine) {
  return has_full_layers(types) ? engine.sliding_ratio : 1;
}

/// Tokens of a type's pool when the engine is told to hold `tokens`.
i64 pool_slots(const CacheType& t, const Rank& r, i64 tokens, i64 sequences) {
  if (!t.grows()) return sequences;
  switch (r.engine.layout) {
    case Layout::cells: return cells_of(t, r.deployment, r.engine, tokens, sequences);
    case Layout::token_pool:  // one more page takes the writes of padded batch slots
      return i64(double(tokens) * (t.limit > 0 ? sliding_ratio(r.types, r.engine) : 1)) + r.engine.block_tokens;
    case Layout::paged:
    case Layout::paged_up: return round_up(tokens, r.engine.block_tokens);
    case Layout::exact: return t.limit > 0 ? std::min(tokens, t.limit * sequences) : tokens;
  }
  return tokens;
}

}  // namespace

i64 whole(double count) { return count > 9e18 ? i64(9e18) : count < 0 ? 0 : i64(std::floor(count * (1 + 1e-15))); }

i64 over_groups(i64 count, i64 groups) { return std::min<i64>(count, i64(9e18) / groups) * groups; }

i64 sequences_in(Bytes room, Bytes per_sequence) {
  return per_sequence.value > 0 ? whole(room / per_sequence) : room.value >= 0 ? i64(9e18) : 0;
}

i64 shared_tokens(const CacheType& t, const Rank& r, i64 block) {
  if (t.limit > 0 || !t.grows()) return 0;
  return kept_in_common(r.workload.context, r.workload.shared_prefix, r.deployment.eviction) / block * block;
}

Allocation allocate_exact(const Rank& r, Bytes room) {
  Allocation a;
  const Workload& w = r.workload;
  Bytes per_token;
  for (const CacheType& t : r.types) {
    CacheGroup group{std::string(t.kind), t.layers, 0, 1, t.per_token(), 0, {}};
    i64 kept = kept_by(t, w.context, r.deployment), prefix = shared_tokens(t, r, 1);
    group.per_sequence = double(t.layers) * (t.constant() + double(kept - prefix) * t.per_token());
    a.shared += double(t.layers) * double(prefix) * t.per_token();
    per_token += double(t.layers) * t.per_token();
    a.per_sequence += group.per_sequence;
    a.groups.push_back(std::move(group));
  }
  a.max_sequences = sequences_in(room - a.shared, a.per_sequence);
  a.concurrency = a.per_sequence.value > 0 ? std::max(0.0, (room - a.shared) / a.per_sequence) : 0;
  a.max_tokens = per_token.value > 0 ? whole(a.concurrency * double(w.context)) : 0;
  a.used = a.shared + double(a.max_sequences) * a.per_sequence;
  return a;
}

namespace {

/// Of a pool's tokens what one sequence takes for itself, and how many of them it admits.
struct PoolUse {
  i64 tokens = 0, own = 0, sequences = 0;
};

/// Tokens that have left the window are freed, unless all layers are windowed: then the one pool keeps them.
PoolUse pool_use(const CacheType& t, const Rank& r, double ratio, i64 max_tokens) {
  const Workload& w = r.workload;
  bool beside_full = t.limit > 0 && has_full_layers(r.types);
  i64 shared = shared_tokens(t, r, r.engine.block_tokens);
  i64 held = t.limit == 0  ? kept_by(t, w.context, r.deployment)
             : beside_full ? std::min(w.context, t.limit)
                           : w.context;
  PoolUse use{beside_full ? i64(ratio * double(max_tokens)) : max_tokens, held - shared, i64(9e18)};
  if (use.own > 0)
    use.sequences = std::max<i64>(0, use.tokens - shared) / use.own;
  else if (use.tokens < shared)
    use.sequences = 0;
  return use;
}

}  // namespace

/// SGLang: full and sliding layers have a pool each, sized so that the sliding pool has `sliding_ratio` of the full
/// pool's tokens; recurrent states take their share of the memory first, and a request is admitted for so many slots.
Allocation allocate_token_pool(const Rank& r, Bytes room) {
  Allocation a;
  const Engine& engine = r.engine;
  const Workload& w = r.workload;
  double ratio = sliding_ratio(r.types, engine);
  Bytes cell, state;
  for (const CacheType& t : r.types) {
    double share = t.limit > 0 ? ratio : 1;
    cell += double(t.layers) * share * t.per_token();
    state += double(t.layers) * t.constant();
    CacheGroup group{std::string(t.kind), t.layers, 0, 1, t.per_token(), 0, {}};
    i64 held = t.limit > 0 ? w.context : kept_by(t, w.context, r.deployment);  // only full layers evict
    i64 prefix = shared_tokens(t, r, engine.block_tokens);
    group.per_sequence = double(t.layers) * (t.constant() + share * double(held - prefix) * t.per_token());
    a.shared += double(t.layers) * double(prefix) * t.per_token();
    a.per_sequence += group.per_sequence;
    a.groups.push_back(std::move(group));
  }
  Bytes for_states = state.value > 0 ? room * (engine.state_ratio / (1 + engine.state_ratio)) : Bytes{};
  i64 slots = state.value > 0 ? whole(for_states / state) - engine.state_slots : i64(9e18);
  a.max_tokens = cell.value > 0 ? whole(std::floor((room - for_states).value) / cell.value) : 0;
  i64 by_slots = state.value > 0 ? slots / engine.slots_per_request : slots;
  PoolUse tightest{0, 0, i64(9e18)};
  for (const CacheType& t : r.types) {
    if (!t.grows()) continue;
    PoolUse use = pool_use(t, r, ratio, a.max_tokens);
    if (use.sequences < tightest.sequences) tightest = use;
  }
  a.max_sequences = std::max<i64>(0, std::min(tightest.sequences, by_slots));
  a.concurrency = double(a.max_sequences);
  if (tightest.own > 0 && tightest.sequences <= by_slots && a.shared.value == 0)
    a.concurrency = double(tightest.tokens) / double(tightest.own);
  a.used = double(a.max_tokens) * cell + (state.value > 0 ? double(slots + engine.state_slots) * state : Bytes{});
  return a;
}

/// TensorRT-LLM: whole blocks, the last one begun rounded up.
Allocation allocate_paged_up(const Rank& r, Bytes room) {
  Allocation a;
  i64 block = r.engine.block_tokens;
  Bytes per_token;
  for (const CacheType& t : r.types) {
    per_token += double(t.layers) * t.per_token();
    i64 kept = t.grows() ? round_up(kept_by(t, r.workload.context, r.deployment), block) : 0;
    i64 prefix = shared_tokens(t, r, block);
    kept -= prefix;
    a.shared += double(t.layers) * double(prefix) * t.per_token();
    CacheGroup group{std::string(t.kind), t.layers, 0, block, double(block) * t.per_token(), kept / block, {}};
    group.per_sequence = double(t.layers) * (t.constant() + double(kept) * t.per_token());
    a.blocks_per_sequence += group.blocks_per_sequence;
    a.per_sequence += group.per_sequence;
    a.groups.push_back(std::move(group));
  }
  if (per_token.value > 0) {
    a.block = double(block) * per_token;
    a.blocks = i64(std::ceil(std::max(0.0, room / a.block) - 1e-9));
    a.max_tokens = a.blocks * block;
  }
  a.used = double(a.max_tokens) * per_token;
  Bytes own = (per_token.value > 0 ? a.used : room) - a.shared;
  a.concurrency = a.per_sequence.value > 0 ? std::max(0.0, (a.used - a.shared) / a.per_sequence) : 0;
  a.max_sequences = sequences_in(own, a.per_sequence);
  return a;
}

Allocation allocate(const Model& model, const Deployment& deployment, const Workload& workload, const Engine& engine,
                    i64 stage, Bytes room) {
  return allocate(cache_types(model, deployment, engine, stage), deployment, workload, engine, room);
}

Allocation allocate(const std::vector<CacheType>& types, const Deployment& deployment, const Workload& workload,
                    const Engine& engine, Bytes room) {
  Rank rank{types, deployment, workload, engine};
  Allocation a;
  room = larger(room, Bytes{});
  auto takes_nothing = [](const CacheType& t) { return t.per_token().value == 0 && t.constant().value == 0; };
  if (std::all_of(types.begin(), types.end(), takes_nothing)) {
    a.max_sequences = i64(9e18);  // a stage without caches never binds
    return a;
  }
  switch (engine.layout) {
    case Layout::exact: a = allocate_exact(rank, room); break;
    case Layout::paged: a = allocate_paged(rank, room); break;
    case Layout::token_pool: a = allocate_token_pool(rank, room); break;
    case Layout::paged_up: a = allocate_paged_up(rank, room); break;
    case Layout::cells: a = allocate_cells(rank, room); break;
  }
  a.ideal_per_sequence = ideal_bytes(rank);
  return a;
}

std::vector<CachePool> pools(const Model& model, const Deployment& deployment, const Engine& engine, i64 stage,
                             i64 tokens, i64 sequences) {
  Workload workload{tokens, sequences, 0};
  std::vector<CacheType> types = cache_types(model, deployment, engine, stage);
  Rank rank{types, deployment, workload, engine};
  std::vector<CachePool> found;
  for (const CacheType& t : rank.types) {
    CachePool pool{std::string(t.kind), t.layers, t.limit, pool_slots(t, rank, tokens, sequences), {}, {}, {}, {}, {}};
    double growing = double(t.layers) * double(pool.slots);
    // a rejected draft is undone from snapshots of the state
    double states = double(t.layers) * double(sequences) * double(1 + deployment.draft_tokens);
    pool.key = growing * t.key;
    pool.value = growing * t.value;
    pool.index = growing * t.index;
    pool.conv = states * t.conv;
    pool.state = states * t.state;
    found.push_back(std::move(pool));
  }
  return found;
}

}  // namespace kvroof
