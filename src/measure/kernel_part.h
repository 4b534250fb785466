// One thread's share of a decode step, as handed to whichever instruction set was chosen: pointers and sizes only.
#pragma once

#include <array>

#include "measure/kv_cache.h"

namespace kvroof {

/// Most tokens of a tile: scores of one query head take a row of so many floats.
inline constexpr i64 most_tile_tokens = 48;

struct KernelPart {
  const AttentionShape& shape;
  const KvView& cache;
  const float* queries;   ///< [query head][key_dim]
  float* sums;            ///< [query head][value_dim]: weighted values; of the heads whose tiles it holds
  float* maxima;          ///< [query head]
  float* weights;         ///< [query head]: sum of the softmax's terms
  float* scratch;         ///< scratch_floats(shape) floats
  i64 tile = 0, end = 0;  ///< of kv_heads * tiles_of(shape), head after head
};

/// Whether tiles are widened to f32 before they are worked on.
bool widens(const AttentionShape& shape);
/// Tokens a tile holds. With one query a head it is a third of the first cache: half as much streams faster still where
/// rows follow each other (97 % of a read against 85, bf16 on Zen 3), but loses a third of that on random pages.
i64 tile_tokens(const AttentionShape& shape);
i64 tiles_of(const AttentionShape& shape);
i64 scratch_floats(const AttentionShape& shape);

/// Queries of a head from which on AMX is faster than vectors: with three its sixteen rows are too empty.
inline constexpr i64 least_amx_group = 4;
/// Whether a shape is worked on in AMX's tiles: bf16, where enough queries share a head.
bool uses_amx(const AttentionShape& shape);
void run_amx_part(const KernelPart& part);
/// Floats of each buffer of AMX's kernel, whole lines each, and of all of them.
std::array<i64, 8> amx_buffer_floats(const AttentionShape& shape);
i64 amx_scratch_floats(const AttentionShape& shape);

/// Runs a part on the best instruction set of this machine.
void run_kernel_part(const KernelPart& part);

}  // namespace kvroof
