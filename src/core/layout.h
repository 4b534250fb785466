// One function per layout, each from the same view of a rank: its cache types and the room for them.
#pragma once

#include "core/allocation.h"
#include "core/cache_type.h"

namespace kvroof {

/// What one rank's allocator is asked to do.
struct Rank {
  const std::vector<CacheType>& types;  ///< not empty
  const Deployment& deployment;
  const Workload& workload;
  const Engine& engine;
};

Allocation allocate_exact(const Rank& rank, Bytes room);
Allocation allocate_paged(const Rank& rank, Bytes room);
Allocation allocate_token_pool(const Rank& rank, Bytes room);
Allocation allocate_paged_up(const Rank& rank, Bytes room);
Allocation allocate_cells(const Rank& rank, Bytes room);

/// Cells of one type for `tokens` tokens in all and `sequences` sequences.
i64 cells_of(const CacheType& type, const Deployment& deployment, const Engine& engine, i64 tokens, i64 sequences);

/// Tokens of the sequences' common prefix that a type holds once: whole blocks, where it keeps every token.
i64 shared_tokens(const CacheType& type, const Rank& rank, i64 block);

/// A count of things that fit, from a quotient that rounding may have left a hair below a whole number.
i64 whole(double count);
i64 sequences_in(Bytes room, Bytes per_sequence);

/// What all groups of data-parallel attention hold. A stage without caches holds any number, which stays that.
i64 over_groups(i64 count, i64 groups);

}  // namespace kvroof
