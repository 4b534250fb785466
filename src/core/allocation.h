// What an engine allocates for a cache: blocks, pages, pools and cells instead of ideal bytes.
//
// Given the room for KV on the tightest rank, an engine's rules decide how many tokens and sequences it holds. The
// rules (block sizes, grouping and padding of hybrids, replication, rounding) were read in each engine's source and
// reproduce the figures its log prints; the README's section on engines names them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/cache.h"
#include "core/engine.h"

namespace kvroof {

/// One group of layers as the engine sees it, on one rank.
struct CacheGroup {
  std::string kind;
  i64 layers = 0;        ///< that hold a cache
  i64 padding = 0;       ///< layers the group is padded by
  i64 block_tokens = 1;  ///< tokens of one block (paged), cells' granularity (cells)
  Bytes page;            ///< bytes of one block of one layer
  i64 blocks_per_sequence = 0;
  Bytes per_sequence;  ///< what one sequence of `context` tokens takes in this group
};

struct CacheType;

struct Allocation {
  std::vector<CacheGroup> groups;
  Bytes per_sequence;           ///< allocated for one sequence of `context` tokens, per rank, beyond `shared`
  Bytes shared;                 ///< of a prefix that all sequences have in common: held once
  Bytes ideal_per_sequence;     ///< the same without rounding, padding or shared pools, per rank
  Bytes used;                   ///< of the room, after rounding to whole blocks
  Bytes block;                  ///< bytes of one block over all its layers; 0 where the layout has none
  i64 blocks = 0;               ///< blocks of the pool
  i64 blocks_per_sequence = 0;  ///< of `context` tokens, over all groups, beyond the shared ones
  i64 max_sequences = 0;        ///< of `context` tokens that fit the room
  double concurrency = 0;       ///< the same unrounded, as vLLM logs it
  i64 max_tokens = 0;           ///< tokens of capacity as the engine's log counts them
};

/// Allocation on the pipeline stage `stage` with `room` bytes for KV. `context` tokens a sequence.
Allocation allocate(const Model& model, const Deployment& deployment, const Workload& workload, const Engine& engine,
                    i64 stage, Bytes room);
/// The same of a stage whose cache types are at hand.
Allocation allocate(const std::vector<CacheType>& types, const Deployment& deployment, const Workload& workload,
                    const Engine& engine, Bytes room);

/// Layers that cache alike and what an engine sets aside for them, in slots of one token each.
struct CachePool {
  std::string kind;
  i64 layers = 0;
  i64 limit = 0;  ///< window or chunk; 0 when every token is kept
  i64 slots = 0;  ///< tokens (growing) or sequences (states)
  Bytes key, value, index, conv, state;
  Bytes total() const { return key + value + index + conv + state; }
};

/// What one rank sets aside when told to hold `tokens` tokens in all and `sequences` sequences: the other way round
/// from allocate(), for engines started with a size (llama.cpp's context, a fixed token pool).
std::vector<CachePool> pools(const Model& model, const Deployment& deployment, const Engine& engine, i64 stage,
                             i64 tokens, i64 sequences);

}  // namespace kvroof
