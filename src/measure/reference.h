// Decode attention as the formula says, one token at a time, in double: what the kernel must equal.
#pragma once

#include <vector>

#include "measure/kv_cache.h"

namespace kvroof {

/// softmax(q k / sqrt(key_dim)) v for every query head: [query head][value_dim].
std::vector<double> reference_attention(const AttentionShape& shape, const KvView& cache,
                                        const std::vector<float>& queries);

}  // namespace kvroof
