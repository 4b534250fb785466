#include "measure/kernel.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace kvroof {

AttentionKernel::AttentionKernel(const AttentionShape& shape, int threads)
    : shape_(shape),
      threads_(threads),
      heads_(shape.query_heads()),
      lined_heads_(round_up(heads_, 32)),
      sums_(std::size_t(threads_ * heads_ * shape.value_dim)),
      maxima_(std::size_t(threads_ * lined_heads_)),
      weights_(std::size_t(threads_ * lined_heads_)),
      scratch_(std::size_t(threads_ * scratch_floats(shape))) {}

KernelPart AttentionKernel::part(const KvView& cache, std::span<const float> queries, int member) {
  i64 all = shape_.kv_heads * tiles_of(shape_), m = member;
  return {.shape = shape_,
          .cache = cache,
          .queries = queries.data(),
          .sums = sums_.data() + m * heads_ * shape_.value_dim,
          .maxima = maxima_.data() + m * lined_heads_,
          .weights = weights_.data() + m * lined_heads_,
          .scratch = scratch_.data() + m * scratch_floats(shape_),
          .tile = all * m / threads_,
          .end = all * (m + 1) / threads_};
}

/// A head's result from the threads that hold tiles of it, each scaled to their common maximum.
void AttentionKernel::merge(std::span<float> out) const {
  i64 per_head = tiles_of(shape_), all = shape_.kv_heads * per_head, dim = shape_.value_dim;
  std::fill(out.begin(), out.end(), 0.0F);
  for (i64 query = 0; query < heads_; ++query) {
    i64 first_tile = query / shape_.group * per_head;
    auto holds = [&](i64 m) {
      i64 begin = std::max(first_tile, all * m / threads_),
          end = std::min(first_tile + per_head, all * (m + 1) / threads_);
      return begin < end;
    };
    float most = std::numeric_limits<float>::lowest(), sum = 0;
    for (i64 m = 0; m < threads_; ++m)
      if (holds(m) && !(maxima_[std::size_t(m * lined_heads_ + query)] <= most))
        most = maxima_[std::size_t(m * lined_heads_ + query)];
    for (i64 m = 0; m < threads_; ++m) {
      if (!holds(m)) continue;
      float scale = std::exp(maxima_[std::size_t(m * lined_heads_ + query)] - most);
      sum += scale * weights_[std::size_t(m * lined_heads_ + query)];
      const float* from = sums_.data() + (m * heads_ + query) * dim;
      for (i64 i = 0; i < dim; ++i) out[std::size_t(query * dim + i)] += scale * from[i];
    }
    for (i64 i = 0; i < dim; ++i) out[std::size_t(query * dim + i)] /= sum;
  }
}

JobTime AttentionKernel::run(const KvView& cache, std::span<const float> queries, std::span<float> out, Team& team) {
  JobTime time = team.run([&](int member) { attend(cache, queries, member); });
  Seconds before = now();
  merge(out);
  time.wall += now() - before;
  return time;
}

}  // namespace kvroof
