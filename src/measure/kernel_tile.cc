// The kernel's inner part, compiled once for each instruction set: tiles of scores, online softmax, tiles of values.
//
// Rows are decoded a vector at a time, in whatever order is cheapest (bf16: even, then odd elements); queries and sums
// are kept in that order. One core's stream from memory is bound by how many lines are on their way, so that a tile
// takes its tokens from four stretches of the context at once (the softmax does not mind the order) and the rows of
// the next tile are asked for while this one is worked on, spread over the loops. Against one stretch that took MHA in
// bf16 from 65 to 77 % of a read's bandwidth, and random pages from 49 to 66 %; eight stretches were slower again
// (AVX2, Zen 3). With more than 8 queries a KV head, a tile is widened to f32 once and the passes run on that.

#include "measure/instruction_set.h"
//
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "measure/kernel_tile.cc"
#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
//
#include <hwy/contrib/math/math-inl.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "measure/kernel_part.h"

HWY_BEFORE_NAMESPACE();
namespace kvroof {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<float, 16>;
using V = hn::Vec<D>;
constexpr i64 lanes = i64(hn::MaxLanes(D()));
constexpr i64 step = 2 * lanes;  ///< elements decoded together

// ---- formats: the first or second vector of the `step` elements from i on ----------------------------------

struct F32Rows {
  static constexpr i64 element_bytes = 4;
  static constexpr bool scaled = false, even_odd = false;
  template <int Half>
  static HWY_INLINE V decode(const std::byte* row, i64 i) {
    return hn::LoadU(D(), reinterpret_cast<const float*>(row) + i + Half * lanes);
  }
};

/// A lane of 32 bits holds an even and an odd element; each is an f32 once it stands in the upper half.
struct Bf16Rows {
  static constexpr i64 element_bytes = 2;
  static constexpr bool scaled = false, even_odd = true;
  template <int Half>
  static HWY_INLINE V decode(const std::byte* row, i64 i) {
    const hn::RebindToUnsigned<D> du;
    const hn::Repartition<std::uint8_t, D> d8;
    auto both = hn::BitCast(du, hn::LoadU(d8, reinterpret_cast<const std::uint8_t*>(row) + 2 * i));
    if constexpr (Half == 0) return hn::BitCast(D(), hn::ShiftLeft<16>(both));
    return hn::BitCast(D(), hn::And(both, hn::Set(du, 0xffff0000U)));
  }
};

struct Fp16Rows {
  static constexpr i64 element_bytes = 2;
  static constexpr bool scaled = false, even_odd = false;
  template <int Half>
  static HWY_INLINE V decode(const std::byte* row, i64 i) {
    const hn::Rebind<hwy::float16_t, D> d16;
    return hn::PromoteTo(D(), hn::LoadU(d16, reinterpret_cast<const hwy::float16_t*>(row) + i + Half * lanes));
  }
};

HWY_INLINE V integers(const std::byte* from) {
  const hn::Rebind<std::int8_t, D> d8;
  const hn::RebindToSigned<D> d32;
  return hn::ConvertTo(D(), hn::PromoteTo(d32, hn::LoadU(d8, reinterpret_cast<const std::int8_t*>(from))));
}

/// The scale at the row's end is applied to the score and the weight, once each.
struct Int8Rows {
  static constexpr i64 element_bytes = 1;
  static constexpr bool scaled = true, even_odd = false;
  template <int Half>
  static HWY_INLINE V decode(const std::byte* row, i64 i) {
    return integers(row + i + Half * lanes);
  }
};

struct Q8Rows {
  static constexpr i64 element_bytes = 1;
  static constexpr bool scaled = false, even_odd = false;
  template <int Half>
  static HWY_INLINE V decode(const std::byte* row, i64 i) {
    const hn::Rebind<hwy::float16_t, D> d16;
    const hn::Rebind<std::uint16_t, D> du16;
    const std::byte* block = row + i / 32 * 34;
    std::uint16_t bits;
    std::memcpy(&bits, block, sizeof bits);
    V scale = hn::PromoteTo(D(), hn::BitCast(d16, hn::Set(du16, bits)));
    return hn::Mul(scale, integers(block + 2 + i % 32 + Half * lanes));
  }
};

// ---- a tile ------------------------------------------------------------------------------------------------

/// Stretches of the context a tile takes its tokens from.
constexpr i64 stretches = 4;

/// Where the rows of some tokens of one head lie.
struct Tile {
  i64 head = 0, tokens = 0;  ///< real ones; rows up to tile_tokens are zero
  const std::byte* keys[most_tile_tokens];
  const std::byte* values[most_tile_tokens];
};

/// Asks for a row line by line, in the order of memory, which the hardware's own prefetchers follow.
HWY_INLINE void fetch_row(const std::byte* row, i64 bytes) {
  for (i64 at = 0; at < bytes; at += 64) hwy::Prefetch(row + at);
}

/// Sums of the lanes of four vectors, as one vector of four.
template <class Tag>
HWY_INLINE hn::Vec<hn::Full128<float>> sum_blocks(Tag, hn::Vec<Tag> v) {
  if constexpr (hn::MaxLanes(Tag()) == 4) {
    return v;
  } else {
    const hn::Half<Tag> half;
    return sum_blocks(half, hn::Add(hn::LowerHalf(half, v), hn::UpperHalf(half, v)));
  }
}
HWY_INLINE hn::Vec<hn::Full128<float>> sums_of(V a, V b, V c, V e) {
  const D d;
  const hn::Repartition<std::uint64_t, D> d64;
  V ab = hn::Add(hn::InterleaveLower(d, a, b), hn::InterleaveUpper(d, a, b));
  V ce = hn::Add(hn::InterleaveLower(d, c, e), hn::InterleaveUpper(d, c, e));
  V low = hn::BitCast(d, hn::InterleaveLower(d64, hn::BitCast(d64, ab), hn::BitCast(d64, ce)));
  V high = hn::BitCast(d, hn::InterleaveUpper(d64, hn::BitCast(d64, ab), hn::BitCast(d64, ce)));
  return sum_blocks(d, hn::Add(low, high));
}

template <class Rows, int Half, int Q, int T>
HWY_INLINE void add_scores(const std::byte* const* rows, const float* queries, i64 i, i64 dim, V* sums) {
  V keys[T];
  HWY_UNROLL(12)
  for (int t = 0; t < T; ++t) keys[t] = Rows::template decode<Half>(rows[t], i);
  HWY_UNROLL(12)
  for (int q = 0; q < Q; ++q) {
    V query = hn::LoadU(D(), queries + q * dim + i + Half * lanes);
    HWY_UNROLL(12)
    for (int t = 0; t < T; ++t) sums[q * T + t] = hn::MulAdd(keys[t], query, sums[q * T + t]);
  }
}

/// Scores of Q queries with T tokens from `first` on, Q * T = 12: as many sums as registers allow, so that one load
/// of a query serves T tokens and the sums' latency is hidden. Prefetches the same rows of the tile to come.
template <class Rows, int Q, int T, bool Fetch>
HWY_INLINE void score_block(const Tile& tile, const Tile& next, i64 first, const float* queries, i64 dim,
                            float* scores) {
  V sums[12];
  HWY_UNROLL(12)
  for (V& s : sums) s = hn::Zero(D());
  i64 fetched = 0;
  for (i64 i = 0; i < dim; i += step) {
    if constexpr (Fetch)
      for (; fetched * dim < T * (i + step); ++fetched)
        fetch_row(next.keys[first + fetched], dim * Rows::element_bytes);
    add_scores<Rows, 0, Q, T>(tile.keys + first, queries, i, dim, sums);
    add_scores<Rows, 1, Q, T>(tile.keys + first, queries, i, dim, sums);
  }
  HWY_ALIGN float out[12];
  const hn::Full128<float> d4;
  HWY_UNROLL(12)
  for (int n = 0; n < 12; n += 4) hn::Store(sums_of(sums[n], sums[n + 1], sums[n + 2], sums[n + 3]), d4, out + n);
  HWY_UNROLL(12)
  for (int q = 0; q < Q; ++q) HWY_UNROLL(12)
  for (int t = 0; t < T; ++t) scores[q * most_tile_tokens + first + t] = out[q * T + t];
}

template <class Rows, int Q, bool Fetch>
void score_tile(const Tile& tile, const Tile& next, i64 tokens, const float* queries, i64 dim, float* scores) {
  constexpr int T = 12 / Q;
  for (i64 t = 0; t < tokens; t += T) score_block<Rows, Q, T, Fetch>(tile, next, t, queries, dim, scores);
}

/// Adds the weighted values of a tile to the sums of Q queries, 8 vectors of sums at a time.
template <class Rows, int Q, int Steps, bool Fetch>
HWY_INLINE void value_block(const Tile& tile, const Tile& next, i64 tokens, i64 first, const float* weights,
                            float* sums, i64 dim, i64& fetched) {
  V acc[Q * Steps * 2];
  HWY_UNROLL(8)
  for (int q = 0; q < Q; ++q) HWY_UNROLL(8)
  for (int c = 0; c < 2 * Steps; ++c) acc[q * 2 * Steps + c] = hn::LoadU(D(), sums + q * dim + first + c * lanes);
  for (i64 t = 0; t < tokens; ++t) {
    if constexpr (Fetch)
      for (; fetched * dim < tokens * first + t * Steps * step; ++fetched)
        fetch_row(next.values[fetched], dim * Rows::element_bytes);
    V weight[Q];
    HWY_UNROLL(8)
    for (int q = 0; q < Q; ++q) weight[q] = hn::Set(D(), weights[q * most_tile_tokens + t]);
    HWY_UNROLL(8)
    for (int c = 0; c < Steps; ++c) {
      V a = Rows::template decode<0>(tile.values[t], first + c * step);
      V b = Rows::template decode<1>(tile.values[t], first + c * step);
      HWY_UNROLL(8)
      for (int q = 0; q < Q; ++q) {
        V* sum = acc + (q * Steps + c) * 2;
        sum[0] = hn::MulAdd(weight[q], a, sum[0]);
        sum[1] = hn::MulAdd(weight[q], b, sum[1]);
      }
    }
  }
  HWY_UNROLL(8)
  for (int q = 0; q < Q; ++q) HWY_UNROLL(8)
  for (int c = 0; c < 2 * Steps; ++c) hn::StoreU(acc[q * 2 * Steps + c], D(), sums + q * dim + first + c * lanes);
}

template <class Rows, int Q, bool Fetch>
void value_tile(const Tile& tile, const Tile& next, i64 tokens, const float* weights, float* sums, i64 dim) {
  constexpr int steps = 4 / Q;
  i64 i = 0, fetched = 0;
  for (; i + steps * step <= dim; i += steps * step)
    value_block<Rows, Q, steps, Fetch>(tile, next, tokens, i, weights, sums, dim, fetched);
  for (; i < dim; i += step) value_block<Rows, Q, 1, Fetch>(tile, next, tokens, i, weights, sums, dim, fetched);
}

// ---- one thread ----------------------------------------------------------------------------------------------

/// The buffers of a thread, cut from its scratch.
struct Work {
  const KernelPart& part;
  i64 tokens, padded;             ///< of a tile, and to whole vectors
  i64 tiles = 0;                  ///< of a head
  i64 lead = 0;                   ///< of each stretch, in tiles
  float* queries = nullptr;       ///< [group][key_dim], scaled, in decoding order
  float* scores = nullptr;        ///< [group][most_tile_tokens]; weights after the softmax
  float* wide_keys = nullptr;     ///< [tokens][key_dim]
  float* wide_values = nullptr;   ///< [tokens][value_dim]
  std::byte* zero_row = nullptr;  ///< what stands for a token past the end
};

/// Position p of the `step` decoded together holds this element of them.
HWY_INLINE i64 element_at(i64 p, bool even_odd) {
  if (!even_odd) return p;
  return p < lanes ? 2 * p : 2 * (p - lanes) + 1;
}

template <class Rows>
void load_queries(const Work& w, i64 head) {
  const AttentionShape& s = w.part.shape;
  float scale = float(1 / std::sqrt(double(s.key_dim)));
  const float* from = w.part.queries + head * s.group * s.key_dim;
  for (i64 first = 0; first < s.group * s.key_dim; first += step)
    for (i64 p = 0; p < step; ++p) w.queries[first + p] = scale * from[first + element_at(p, Rows::even_odd)];
}

/// Sums back into the order of elements.
template <class Rows>
void finish_head(const Work& w, i64 head) {
  if (!Rows::even_odd) return;
  const AttentionShape& s = w.part.shape;
  float* sums = w.part.sums + head * s.group * s.value_dim;
  for (i64 first = 0; first < s.group * s.value_dim; first += step) {
    float in_order[step];
    for (i64 p = 0; p < step; ++p) in_order[element_at(p, true)] = sums[first + p];
    std::copy_n(in_order, step, sums + first);
  }
}

/// How many tiles each stretch is ahead of the one before, so that their rows do not all fall into the same sets of the
/// first cache: those are found by the address within 4 KiB.
i64 stretch_lead(const Work& w, i64 stretch_tokens) {
  constexpr i64 way = 4096;
  i64 best = 0, best_distance = way;
  for (i64 lead = 0; lead < 4; ++lead) {
    i64 apart = (stretch_tokens + lead * w.tokens / stretches) * w.part.cache.key_row % way;
    i64 distance = std::abs(std::abs(apart - way / 2) - way / 4);  // from a quarter or three
    if (distance < best_distance) best = lead, best_distance = distance;
  }
  return best;
}

/// Token t of stretch 0, then of 1, 2, 3, then t + 1: each stretch is followed in the order of memory.
void find_rows(const Work& w, i64 flat, Tile& tile) {
  const KvView& cache = w.part.cache;
  i64 per_head = w.tiles, per_stretch = w.tokens / stretches, number = flat % per_head;
  i64 stretch_tokens = per_head * per_stretch, begins[stretches];
  for (i64 s = 0; s < stretches; ++s) begins[s] = s * stretch_tokens + (number + s * w.lead) % per_head * per_stretch;
  tile.head = flat / per_head;
  tile.tokens = 0;
  for (i64 t = 0; t < per_stretch; ++t)
    for (i64 begin : begins) {
      if (begin + t >= cache.context) continue;
      i64 row = cache.row(tile.head, begin + t);
      tile.keys[tile.tokens] = cache.keys + row * cache.key_row;
      tile.values[tile.tokens++] = cache.values + row * cache.value_row;
    }
  for (i64 t = tile.tokens; t < w.tokens; ++t) tile.keys[t] = tile.values[t] = w.zero_row;
}

/// Scores to weights: exp(score - maximum), the sums of all earlier tiles scaled down where the maximum grows. A score
/// that is not a number, or infinite, makes the head's result not a number, as the formula has it.
template <class Rows>
void soften(const Work& w, const Tile& tile, i64 g) {
  const D d;
  const AttentionShape& s = w.part.shape;
  i64 query = tile.head * s.group + g;
  float* scores = w.scores + g * most_tile_tokens;
  if constexpr (Rows::scaled)
    for (i64 t = 0; t < tile.tokens; ++t) {
      float scale;
      std::memcpy(&scale, tile.keys[t] + s.key_dim, sizeof scale);
      scores[t] *= scale;
    }
  for (i64 t = tile.tokens; t < w.padded; ++t) scores[t] = -std::numeric_limits<float>::infinity();
  V most = hn::LoadU(d, scores);
  for (i64 t = lanes; t < w.padded; t += lanes) most = hn::Max(most, hn::LoadU(d, scores + t));
  float tile_maximum = hn::GetLane(hn::MaxOfLanes(d, most)), maximum = w.part.maxima[query];
  if (!(tile_maximum <= maximum)) {
    float keep = std::exp(maximum - tile_maximum);
    w.part.maxima[query] = maximum = tile_maximum;
    w.part.weights[query] *= keep;
    float* sums = w.part.sums + query * s.value_dim;
    for (i64 i = 0; i < s.value_dim; i += lanes)
      hn::StoreU(hn::Mul(hn::LoadU(d, sums + i), hn::Set(d, keep)), d, sums + i);
  }
  V sum = hn::Zero(d), top = hn::Set(d, maximum);
  for (i64 t = 0; t < w.padded; t += lanes) {
    V below = hn::Sub(hn::LoadU(d, scores + t), top);
    V weight = hn::IfThenElse(hn::IsNaN(below), below, hn::Exp(d, below));
    sum = hn::Add(sum, weight);
    hn::StoreU(weight, d, scores + t);
  }
  w.part.weights[query] += hn::GetLane(hn::SumOfLanes(d, sum));
  if constexpr (Rows::scaled)
    for (i64 t = 0; t < tile.tokens; ++t) {
      float scale;
      std::memcpy(&scale, tile.values[t] + (s.latent ? s.key_dim : s.value_dim), sizeof scale);
      scores[t] *= scale;
    }
}

/// Scores of all queries of the head, the first pass over the keys fetching the next tile's.
template <class Rows, bool Fetch>
void score_group(const Work& w, const Tile& tile, const Tile& next) {
  i64 group = w.part.shape.group, dim = w.part.shape.key_dim, g = 0;
  auto pass = [&]<int Q>() HWY_ATTR {
    const float* queries = w.queries + g * dim;
    float* scores = w.scores + g * most_tile_tokens;
    if (g == 0)
      score_tile<Rows, Q, Fetch>(tile, next, w.tokens, queries, dim, scores);
    else
      score_tile<Rows, Q, false>(tile, next, w.tokens, queries, dim, scores);
    g += Q;
  };
  while (group - g >= 4) pass.template operator()<4>();
  if (group - g >= 2) pass.template operator()<2>();
  if (group - g >= 1) pass.template operator()<1>();
}

template <class Rows, bool Fetch>
void value_group(const Work& w, const Tile& tile, const Tile& next) {
  i64 group = w.part.shape.group, dim = w.part.shape.value_dim, g = 0;
  auto pass = [&]<int Q>() HWY_ATTR {
    const float* weights = w.scores + g * most_tile_tokens;
    float* sums = w.part.sums + (tile.head * group + g) * dim;
    if (g == 0)
      value_tile<Rows, Q, Fetch>(tile, next, tile.tokens, weights, sums, dim);
    else
      value_tile<Rows, Q, false>(tile, next, tile.tokens, weights, sums, dim);
    g += Q;
  };
  while (group - g >= 4) pass.template operator()<4>();
  if (group - g >= 2) pass.template operator()<2>();
  if (group - g >= 1) pass.template operator()<1>();
}

/// The tile as f32, scales applied, in decoding order.
template <class Rows>
void widen(const std::byte* const* rows, const std::byte* const* next, i64 tokens, i64 dim, i64 stored_dim,
           float* wide) {
  const D d;
  for (i64 t = 0; t < tokens; ++t) {
    V scale = hn::Set(d, 1.0F);
    if constexpr (Rows::scaled) {
      float stored;
      std::memcpy(&stored, rows[t] + stored_dim, sizeof stored);
      scale = hn::Set(d, stored);
    }
    fetch_row(next[t], dim * Rows::element_bytes);
    for (i64 i = 0; i < dim; i += step) {
      V a = Rows::template decode<0>(rows[t], i), b = Rows::template decode<1>(rows[t], i);
      hn::StoreU(Rows::scaled ? hn::Mul(scale, a) : a, d, wide + t * dim + i);
      hn::StoreU(Rows::scaled ? hn::Mul(scale, b) : b, d, wide + t * dim + i + lanes);
    }
  }
}

template <class Rows>
void tile_widened(const Work& w, const Tile& tile, const Tile& next) {
  const AttentionShape& s = w.part.shape;
  Tile wide = tile;
  widen<Rows>(tile.keys, next.keys, tile.tokens, s.key_dim, s.key_dim, w.wide_keys);
  if (!s.latent) widen<Rows>(tile.values, next.values, tile.tokens, s.value_dim, s.value_dim, w.wide_values);
  for (i64 t = 0; t < tile.tokens; ++t) {
    wide.keys[t] = reinterpret_cast<const std::byte*>(w.wide_keys + t * s.key_dim);
    wide.values[t] = s.latent ? wide.keys[t] : reinterpret_cast<const std::byte*>(w.wide_values + t * s.value_dim);
  }
  score_group<F32Rows, false>(w, wide, wide);
  for (i64 g = 0; g < s.group; ++g) soften<F32Rows>(w, wide, g);
  value_group<F32Rows, false>(w, wide, wide);
}

template <class Rows>
void tile_direct(const Work& w, const Tile& tile, const Tile& next) {
  score_group<Rows, true>(w, tile, next);
  for (i64 g = 0; g < w.part.shape.group; ++g) soften<Rows>(w, tile, g);
  if (w.part.shape.latent)
    value_group<Rows, false>(w, tile, next);
  else
    value_group<Rows, true>(w, tile, next);
}

void start_head(const Work& w, i64 head) {
  const AttentionShape& s = w.part.shape;
  std::fill_n(w.part.sums + head * s.group * s.value_dim, s.group * s.value_dim, 0.0F);
  std::fill_n(w.part.maxima + head * s.group, s.group, std::numeric_limits<float>::lowest());
  std::fill_n(w.part.weights + head * s.group, s.group, 0.0F);
}

template <class Rows>
void attend(const Work& w) {
  bool widened = widens(w.part.shape);
  Tile tiles[2];
  i64 head = -1;
  for (i64 flat = w.part.tile; flat < w.part.end; ++flat) {
    Tile &tile = tiles[flat % 2], &next = tiles[(flat + 1) % 2];
    if (flat == w.part.tile) find_rows(w, flat, tile);
    find_rows(w, std::min(flat + 1, w.part.end - 1), next);
    if (tile.head != head) {
      if (head >= 0) finish_head<Rows>(w, head);
      head = tile.head;
      start_head(w, head);
      load_queries<Rows>(w, head);
    }
    if (widened)
      tile_widened<Rows>(w, tile, next);
    else
      tile_direct<Rows>(w, tile, next);
  }
  if (head >= 0) finish_head<Rows>(w, head);
}

void run_part(const KernelPart& part) {
  const AttentionShape& s = part.shape;
  i64 tokens = tile_tokens(s);
  float* at = part.scratch;
  auto take = [&](i64 floats) {
    float* taken = at;
    at += round_up(floats, 16);
    return taken;
  };
  Work w{.part = part, .tokens = tokens, .padded = round_up(tokens, 16)};
  w.queries = take(s.group * s.key_dim);
  w.scores = take(s.group * most_tile_tokens);
  w.wide_keys = take(tokens * s.key_dim);
  w.wide_values = take(tokens * s.value_dim);
  w.zero_row = reinterpret_cast<std::byte*>(at);
  std::memset(w.zero_row, 0, std::size_t(4 * (std::max(s.key_dim, s.value_dim) + 16)));
  w.tiles = tiles_of(s);
  w.lead = stretch_lead(w, w.tiles * tokens / stretches);
  if (s.format.name == "bf16") return attend<Bf16Rows>(w);
  if (s.format.name == "fp16") return attend<Fp16Rows>(w);
  if (s.format.name == "int8") return attend<Int8Rows>(w);
  if (s.format.name == "q8_0") return attend<Q8Rows>(w);
  attend<F32Rows>(w);
}

}  // namespace HWY_NAMESPACE
}  // namespace kvroof
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "measure/kernel.h"
#include "measure/rows.h"

namespace kvroof {

bool widens(const AttentionShape& s) { return s.group > 8 && s.format.bytes / s.format.elements < 2; }

bool uses_amx(const AttentionShape& s) {
  return amx_is_chosen() && s.format.name == "bf16" && s.group >= least_amx_group;
}

double kernel_tolerance(const AttentionShape& s) { return uses_amx(s) ? 3e-3 : 1e-5; }

i64 tile_tokens(const AttentionShape& s) {
  if (uses_amx(s)) return 64;
  if (s.group > 1) return 24;
  i64 bytes = row_bytes(s.format, s.key_dim) + (s.latent ? 0 : row_bytes(s.format, s.value_dim));
  for (i64 tokens : {48, 24})
    if (tokens * bytes <= 13312) return tokens;
  return 12;
}
i64 tiles_of(const AttentionShape& s) { return ceil_div(s.context, tile_tokens(s)); }
i64 scratch_floats(const AttentionShape& s) {
  if (uses_amx(s)) return amx_scratch_floats(s);
  i64 tokens = tile_tokens(s);
  return round_up(s.group * s.key_dim, 16) + round_up(s.group * most_tile_tokens, 16) +
         round_up(tokens * s.key_dim, 16) + round_up(tokens * s.value_dim, 16) +
         round_up(std::max(s.key_dim, s.value_dim) + 16, 16);
}

void run_kernel_part(const KernelPart& part) {
  if (uses_amx(part.shape)) return run_amx_part(part);
  static constexpr Version<void(const KernelPart&)> versions[] = KVROOF_VERSIONS(run_part);
  chosen(versions)(part);
}

}  // namespace kvroof
#endif
