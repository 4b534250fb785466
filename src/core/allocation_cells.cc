// llama.cpp's cells: every layer has one cell per token of the context the server was started with. Rules:
// src/llama-context.cpp, llama-kv-cache-iswa.cpp, llama-memory-recurrent.cpp.
#include <algorithm>

#include "core/layout.h"

namespace kvroof {

/// Cells come in multiples of block_tokens. A unified cache serves all sequences, so windowed layers hold window *
/// sequences + one micro-batch; otherwise every sequence has a stream of its own, padded by itself.
i64 cells_of(const CacheType& t, const Deployment& d, const Engine& engine, i64 tokens, i64 sequences) {
  i64 step = engine.block_tokens, streams = d.unified ? 1 : sequences;
  i64 cells = round_up(tokens / streams, step);
  if (t.limit > 0 && t.limit <= tokens / std::max<i64>(1, sequences))  // a longer window holds all
    cells = std::min(cells, round_up(t.limit * (d.unified ? sequences : 1) + d.batched_tokens, step));
  return cells * streams;
}

namespace {

/// What `sequences` slots of the workload's context take.
Bytes cells_bytes(const Rank& r, i64 sequences, std::vector<CacheGroup>* groups) {
  Bytes sum;
  i64 step = r.engine.block_tokens;
  for (const CacheType& t : r.types) {
    i64 seen = t.limit > 0 ? r.workload.context : kept_by(t, r.workload.context, r.deployment);
    i64 tokens = round_up(seen, step) * sequences;
    double cells = t.grows() ? double(cells_of(t, r.deployment, r.engine, tokens, sequences)) : 0;
    // a rejected draft is undone from snapshots of the state
    double copies = double(sequences * (t.cross_tokens > 0 ? 1 : 1 + r.deployment.draft_tokens));
    Bytes bytes = double(t.layers) * (copies * t.constant() + cells * t.per_token());
    if (groups) groups->push_back({std::string(t.kind), t.layers, 0, step, double(step) * t.per_token(), 0, bytes});
    sum += bytes;
  }
  return sum;
}

}  // namespace

Allocation allocate_cells(const Rank& r, Bytes room) {
  Allocation a;
  a.per_sequence = cells_bytes(r, 1, &a.groups);
  i64 cells = round_up(r.workload.context, r.engine.block_tokens),
      most = std::min(i64(1) << 40, (i64(1) << 62) / cells);
  i64 low = 0, high = a.per_sequence.value > 0 ? 1 : 0;
  while (high > 0 && high < most && cells_bytes(r, high, nullptr) <= room) low = high, high *= 2;
  while (high - low > 1) {
    i64 middle = low + (high - low) / 2;
    (cells_bytes(r, middle, nullptr) <= room ? low : high) = middle;
  }
  a.max_sequences = low;
  a.concurrency = double(low);
  a.max_tokens = low * cells;
  a.used = low > 0 ? cells_bytes(r, low, nullptr) : Bytes{};
  return a;
}

}  // namespace kvroof
