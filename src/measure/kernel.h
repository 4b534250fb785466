// The measured kernel: decode attention in one pass over the cache, on every core, with whatever vectors it has.
//
// Tokens are split over the team, head after head, in tiles. Of each tile the scores are taken, the running
// maximum and sum of an online softmax updated, and the values added; partial results of a head that threads share
// are merged at the end. The instruction set is chosen at run time (AVX-512, AVX2, SSE4, NEON, or plain code).
// Everything is computed in f32, but that bf16 with many queries a head runs on AMX's tiles where there are any.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "measure/aligned.h"
#include "measure/kernel_part.h"
#include "measure/team.h"

namespace kvroof {

/// |kernel - reference|, over the largest value the reference gives, that a shape's kernel stays below. In vectors it
/// is one pass in f32 over thousands of tokens against double, the same for all formats, since both read the stored
/// numbers: 1e-5. AMX's tiles multiply bf16, to which the softmax's weights are rounded: 3e-3.
double kernel_tolerance(const AttentionShape& shape);

class AttentionKernel {
 public:
  AttentionKernel(const AttentionShape& shape, int threads);
  /// One decode step: queries are [query head][key_dim], out is [query head][value_dim]. Allocates nothing.
  JobTime run(const KvView& cache, std::span<const float> queries, std::span<float> out, Team& team);
  /// One thread's share of it, without the merging at the end.
  void attend(const KvView& cache, std::span<const float> queries, int member) {
    run_kernel_part(part(cache, queries, member));
  }

 private:
  KernelPart part(const KvView& cache, std::span<const float> queries, int member);
  void merge(std::span<float> out) const;

  AttentionShape shape_;
  i64 threads_, heads_;
  i64 lined_heads_;                        ///< so that no two threads write to a line, nor to its neighbour
  AlignedVector<float> sums_;              ///< [thread][query head][value_dim]
  AlignedVector<float> maxima_, weights_;  ///< [thread][query head], threads lined_heads_ apart
  AlignedVector<float> scratch_;
};

/// The instruction set kernels run on: AVX2, AVX3 (AVX-512), NEON …
std::string instruction_set();
/// Those that this binary holds and this machine runs, the best first.
std::vector<std::string> instruction_sets();
/// From now on; for comparisons and tests.
void use_instruction_set(const std::string& name);

}  // namespace kvroof
