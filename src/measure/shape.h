// What one measured decode step attends to: heads, widths, tokens, the format of the cache and how it is paged.
//
// A shape says its bytes and flops through core's own attention kinds, so a prediction and a measurement can't
// count them differently. Queries are head-major: the `group` queries of KV head h follow those of h - 1.
#pragma once

#include <string>
#include <vector>

#include "core/model.h"

namespace kvroof {

/// contiguous: a head's rows follow each other. The others hold blocks of 16 tokens, found through a table.
enum class Paging { contiguous, in_order, random };

/// Tokens of one block of a paged cache.
inline constexpr i64 page_tokens = 16;

struct AttentionShape {
  i64 kv_heads = 8;
  i64 group = 8;  ///< query heads that share a KV head
  i64 key_dim = 128;
  i64 value_dim = 128;
  i64 context = 32768;
  Format format = kvroof::format("bf16");
  bool latent = false;  ///< MLA absorbed: one row per token, whose leading value_dim elements are the values
  Paging paging = Paging::contiguous;

  i64 query_heads() const { return kv_heads * group; }
  bool operator==(const AttentionShape&) const = default;
};

/// DeepSeek's latent of 512 + 64 elements, shared by `heads` query heads.
AttentionShape latent_shape(i64 heads, i64 context, const Format& format);

/// The same layer as the estimator sees it.
LayerGroup layer_of(const AttentionShape& shape);
/// Bytes a step reads of the cache, and the arithmetic it does.
Bytes cache_bytes(const AttentionShape& shape);
Flops attention_flops(const AttentionShape& shape);

/// `GQA-8 8x128 bf16 32k`, with `paged` or `random` (pages) after it.
std::string name_of(const AttentionShape& shape);

/// What the kernel can't run, each with what would.
std::vector<Problem> problems(const AttentionShape& shape);

}  // namespace kvroof
