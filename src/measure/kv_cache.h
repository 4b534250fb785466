// One layer's cache of one sequence as the kernel sees it: where the row of a head and a token lies.
//
// Contiguous: [kv head][token]. Paged: [block][kv head][16 tokens], the block found through a table. Keys and
// values are two such arrays; for a latent they are the same one. A view owns nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "measure/shape.h"

namespace kvroof {

struct KvView {
  const std::byte* keys = nullptr;
  const std::byte* values = nullptr;
  i64 key_row = 0;  ///< bytes
  i64 value_row = 0;
  i64 kv_heads = 0;
  i64 context = 0;
  const std::int32_t* blocks = nullptr;  ///< block of each 16 tokens; null: contiguous

  /// Index of a row in either array.
  i64 row(i64 head, i64 token) const {
    if (!blocks) return head * context + token;
    return (blocks[token / page_tokens] * kv_heads + head) * page_tokens + token % page_tokens;
  }
  const std::byte* key(i64 head, i64 token) const { return keys + row(head, token) * key_row; }
  const std::byte* value(i64 head, i64 token) const { return values + row(head, token) * value_row; }
};

/// Bytes of the two arrays, the last block whole. A latent has no array of values.
struct KvExtent {
  i64 keys = 0;
  i64 values = 0;
  i64 bytes() const { return keys + values; }
};
KvExtent extent_of(const AttentionShape& shape);

/// The blocks of a sequence: in order, or shuffled by a fixed seed. Empty when contiguous.
std::vector<std::int32_t> block_table(const AttentionShape& shape, unsigned seed);

/// A view of `shape` at `memory`, which holds extent_of(shape).bytes() bytes: keys, then values.
KvView view_of(const AttentionShape& shape, const std::byte* memory, const std::vector<std::int32_t>& blocks);

/// Writes every row with seeded values in about -1 … 1, the same whatever the paging.
void fill(const AttentionShape& shape, std::byte* memory, const std::vector<std::int32_t>& blocks, unsigned seed);

/// Queries of about unit size, [query head][key_dim].
std::vector<float> make_queries(const AttentionShape& shape, unsigned seed);

}  // namespace kvroof
