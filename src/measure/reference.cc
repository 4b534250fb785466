#include "measure/reference.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "measure/rows.h"

namespace kvroof {

std::vector<double> reference_attention(const AttentionShape& s, const KvView& cache,
                                        const std::vector<float>& queries) {
  std::vector<double> out(std::size_t(s.query_heads() * s.value_dim));  // [query head][value_dim]
  std::vector<double> weight(std::size_t(s.context));                   // [token]
  // A latent's values are the leading elements of its row, which is key_dim wide.
  i64 stored_dim = s.latent ? s.key_dim : s.value_dim;
  for (i64 head = 0; head < s.query_heads(); ++head) {
    i64 kv_head = head / s.group;
    const float* q = queries.data() + head * s.key_dim;  // [key_dim]
    double* o = out.data() + head * s.value_dim;         // [value_dim]
    double most = -std::numeric_limits<double>::infinity();
    for (i64 t = 0; t < s.context; ++t) {
      double score = 0;
      for (i64 i = 0; i < s.key_dim; ++i) score += q[i] * decode(s.format, cache.key(kv_head, t), s.key_dim, i);
      weight[std::size_t(t)] = score / std::sqrt(double(s.key_dim));
      most = std::max(most, weight[std::size_t(t)]);
    }
    double sum = 0;
    for (double& w : weight) sum += w = std::exp(w - most);
    for (i64 t = 0; t < s.context; ++t)
      for (i64 i = 0; i < s.value_dim; ++i)
        o[i] += weight[std::size_t(t)] / sum * decode(s.format, cache.value(kv_head, t), stored_dim, i);
  }
  return out;
}

}  // namespace kvroof
