// The kernel's inner part on AMX: scores and values of bf16 caches as products of tiles of 16 rows of 64 bytes.
//
// Keys are rows of the first operand as they lie in memory; queries, 16 at a time, are packed once a head as the
// second. The product is [token][query], so that the softmax runs down columns with a query a lane, and its weights are
// turned once to be the first operand of the values' product, for which two tokens' values are interleaved. Queries are
// split in two bf16 numbers, what the first leaves over in the second; weights are rounded, as kernels of engines do,
// and the sum of the rounded ones divides.
//
// A tile is 16 tokens of each of four stretches (kernel_tile.cc says why). The next one's rows are fetched all the
// while, a few lines after each step: fetched at once they fill the core's buffers for lines that are on their way, and
// it waits: GQA-8 then streams at half to two thirds of what it does so. Tile registers are written in assembler: the
// compilers' intrinsics do not say that they read and write memory.

#include "measure/instruction_set.h"
//
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "measure/kernel_amx.cc"
#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
//
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "measure/kernel_part.h"
#include "measure/probe_loops.h"
#include "measure/rows.h"

HWY_BEFORE_NAMESPACE();
namespace kvroof {
namespace HWY_NAMESPACE {
#if HWY_TARGET == HWY_AVX3
namespace amx {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<float, 16>;
using D32 = hn::RebindToUnsigned<D>;
using V = hn::Vec<D>;
using V32 = hn::Vec<D32>;
constexpr i64 rows = 16, row_bytes = 64, tile_floats = 256;  ///< of a tile register
constexpr i64 stretches = 4, tile_tokens = stretches * rows;
/// Lines of the next tile asked for at each step of all blocks: about as many as the tile has in all.
constexpr i64 fetched_a_stretch = 8, fetched_a_pair_of_rows = 2, fetched_a_pair_of_weights = 4;

#define KVROOF_TILE_LOAD(tile, from, stride) \
  __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #tile : : "r"(from), "r"(i64(stride)) : "memory")
#define KVROOF_TILE_STORE(tile, to, stride) \
  __asm__ volatile("tilestored %%tmm" #tile ", (%0,%1,1)" : : "r"(to), "r"(i64(stride)) : "memory")
#define KVROOF_TILE_ZERO(tile) __asm__ volatile("tilezero %%tmm" #tile : : : "memory")
/// sum[m][n] += a[m][2k] * b[k][2n] + a[m][2k+1] * b[k][2n+1]
#define KVROOF_TILE_PRODUCT(sum, a, b) __asm__ volatile("tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #sum : : : "memory")

/// All eight tiles of 16 rows of 64 bytes.
struct TileConfig {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
constexpr TileConfig config;

/// Buffers of a thread, cut from its scratch. `blocks`: 16 queries each.
struct Work {
  const KernelPart& part;
  i64 blocks = 0, tiles = 0, lead = 0;
  float* queries = nullptr;  ///< [block][key_dim / 32][2: first and rest][tile]
  float* scores = nullptr;   ///< [block][token][16]
  float* weights = nullptr;  ///< [block][2: tokens' halves][tile]
  float* values = nullptr;   ///< [2: tokens' halves][2][tile]: pairs of tokens, interleaved
  float* sums = nullptr;     ///< [block][value_dim / 16][query][16]
  float* maxima = nullptr;   ///< [block][16]
  float* totals = nullptr;   ///< [block][16]
  float* staged = nullptr;   ///< [stretch][16][key_dim] bf16: rows that do not follow each other, or end early
};

/// Sixteen rows of one stretch: where they begin, how far apart they lie, how many are tokens.
struct Rows {
  const std::byte* keys = nullptr;
  const std::byte* values = nullptr;
  i64 tokens = 0;
};
struct Tile {
  i64 head = 0;
  Rows of[stretches];
  bool full() const {
    return std::all_of(of, of + stretches, [](const Rows& r) { return r.tokens == rows; });
  }
};

/// Scores are logarithms to base two, whose powers are cheaper.
float score_scale(const AttentionShape& s) { return float(1 / std::sqrt(double(s.key_dim)) / std::log(2.0)); }

/// Rounded to bf16, in the upper half of each lane.
HWY_INLINE V32 upper_half(V32 bits) {
  const D32 d;
  return hn::And(hn::Add(bits, hn::Set(d, 0x8000U)), hn::Set(d, 0xffff0000U));
}
/// What that leaves over, rounded in turn.
HWY_INLINE V32 rest_of(V value, V32 first) {
  const D32 d;
  return upper_half(hn::BitCast(d, hn::Sub(value, hn::BitCast(D(), first))));
}
/// Any NaN as the one that rounding keeps: of others it may carry into the sign.
HWY_INLINE V plain_nan(V x) {
  const D d;
  return hn::IfThenElse(hn::Eq(x, x), x, hn::Set(d, std::numeric_limits<float>::quiet_NaN()));
}
/// Two tokens' numbers as pairs: the earlier in the lower half.
HWY_INLINE V32 paired(V32 earlier, V32 later) { return hn::Or(hn::ShiftRight<16>(earlier), later); }

void find_rows(const Work& w, i64 flat, Tile& tile) {
  const KvView& cache = w.part.cache;
  i64 number = flat % w.tiles;
  tile.head = flat / w.tiles;
  for (i64 s = 0; s < stretches; ++s) {
    i64 begin = (s * w.tiles + (number + s * w.lead) % w.tiles) * rows;
    Rows& r = tile.of[s];
    r.tokens = std::clamp<i64>(cache.context - begin, 0, rows);
    i64 row = r.tokens > 0 ? cache.row(tile.head, begin) : 0;  // sixteen tokens lie in one page
    r.keys = cache.keys + row * cache.key_row;
    r.values = cache.values + row * cache.value_row;
  }
}

/// A tile that is not full is copied, and zeros follow.
HWY_INLINE const std::byte* key_rows(const Work& w, const Rows& r, i64 stretch, i64& stride) {
  const AttentionShape& s = w.part.shape;
  stride = w.part.cache.key_row;
  if (r.tokens == rows) return r.keys;
  std::byte* to = reinterpret_cast<std::byte*>(w.staged) + stretch * rows * s.key_dim * 2;
  for (i64 t = 0; t < rows; ++t)
    if (t < r.tokens)
      std::memcpy(to + t * s.key_dim * 2, r.keys + t * stride, std::size_t(s.key_dim * 2));
    else
      std::memset(to + t * s.key_dim * 2, 0, std::size_t(s.key_dim * 2));
  stride = s.key_dim * 2;
  return to;
}

/// Fetches the rows of the next tile a few lines at a time, so that memory has requests in hand all the while: keys,
/// then values, a line of each stretch in turn.
class Fetcher {
 public:
  Fetcher(const Work& w, const Tile& next) : next_(next) {
    const KvView& cache = w.part.cache;
    step_[0] = cache.key_row, step_[1] = cache.value_row;
    width_[0] = 2 * w.part.shape.key_dim, width_[1] = w.part.shape.latent ? 0 : 2 * w.part.shape.value_dim;
    begin(0);
  }
  HWY_INLINE void some(i64 count) {
    for (; count > 0; --count) {
      if (stretch_ == stretches && !advance()) return;
      __builtin_prefetch(from_[stretch_++] + offset_, 0, 2);
    }
  }

 private:
  void begin(i64 kind) {
    kind_ = kind;
    row_ = column_ = offset_ = stretch_ = 0;
    for (i64 s = 0; s < stretches; ++s) from_[s] = kind == 0 ? next_.of[s].keys : next_.of[s].values;
  }
  /// To the next line of all stretches.
  HWY_INLINE bool advance() {
    stretch_ = 0;
    column_ += 64;
    offset_ += 64;
    if (column_ < width_[kind_]) return true;
    column_ = 0;
    offset_ = ++row_ * step_[kind_];
    if (row_ < rows) return true;
    if (kind_ == 1 || width_[1] == 0) {
      stretch_ = stretches;
      return false;
    }
    begin(1);
    return true;
  }
  const Tile& next_;
  const std::byte* from_[stretches];
  i64 step_[2], width_[2];
  i64 kind_ = 0, row_ = 0, column_ = 0, offset_ = 0, stretch_ = 0;
};

void score(const Work& w, const Tile& tile, Fetcher& next) {
  const AttentionShape& s = w.part.shape;
  i64 a_stretch = ceil_div(fetched_a_stretch, w.blocks);
  const std::byte* keys[stretches];
  i64 stride[stretches];
  for (i64 i = 0; i < stretches; ++i) keys[i] = key_rows(w, tile.of[i], i, stride[i]);
  for (i64 b = 0; b < w.blocks; ++b) {
    KVROOF_TILE_ZERO(0);
    KVROOF_TILE_ZERO(1);
    KVROOF_TILE_ZERO(2);
    KVROOF_TILE_ZERO(3);
    for (i64 c = 0; c < s.key_dim / 32; ++c) {
      const float* queries = w.queries + (b * s.key_dim / 32 + c) * 2 * tile_floats;
      KVROOF_TILE_LOAD(4, queries, row_bytes);
      KVROOF_TILE_LOAD(5, queries + tile_floats, row_bytes);
#define KVROOF_STRETCH(i, from)                               \
  next.some(a_stretch);                                       \
  KVROOF_TILE_LOAD(from, keys[i] + c * row_bytes, stride[i]); \
  KVROOF_TILE_PRODUCT(i, from, 4);                            \
  KVROOF_TILE_PRODUCT(i, from, 5);
      KVROOF_STRETCH(0, 6)
      KVROOF_STRETCH(1, 7)
      KVROOF_STRETCH(2, 6)
      KVROOF_STRETCH(3, 7)
#undef KVROOF_STRETCH
    }
    float* scores = w.scores + b * tile_tokens * rows;
    KVROOF_TILE_STORE(0, scores, row_bytes);
    KVROOF_TILE_STORE(1, scores + tile_floats, row_bytes);
    KVROOF_TILE_STORE(2, scores + 2 * tile_floats, row_bytes);
    KVROOF_TILE_STORE(3, scores + 3 * tile_floats, row_bytes);
  }
}

/// The two parts of a query's element times an infinite one of a key may be infinite both ways, or no number where a
/// part is zero: such a score is taken again, in one piece.
void rescore(const Work& w, const Tile& tile, i64 block) {
  const AttentionShape& s = w.part.shape;
  float scale = score_scale(s);
  for (i64 n = 0; n < stretches; ++n)
    for (i64 t = 0; t < tile.of[n].tokens; ++t)
      for (i64 q = 0; q < std::min(rows, s.group - block * rows); ++q) {
        float& score = w.scores[((block * stretches + n) * rows + t) * rows + q];
        if (!std::isnan(score)) continue;
        const float* query = w.part.queries + (tile.head * s.group + block * rows + q) * s.key_dim;
        score = 0;
        for (i64 i = 0; i < s.key_dim; ++i) {
          std::uint16_t stored;
          std::memcpy(&stored, tile.of[n].keys + t * w.part.cache.key_row + 2 * i, sizeof stored);
          score += scale * query[i] * from_bfloat(stored);
        }
        if (std::isnan(score)) score = std::numeric_limits<float>::quiet_NaN();  // rounded as plain_nan's
      }
}

/// Sixteen rows of pairs, a query a lane, as rows of a query: 16 x 16 words turned.
HWY_INLINE void store_turned(const V32 (&pairs)[rows], float* tile) {
  const D32 d;
  const hn::Repartition<std::uint64_t, D32> d64;
  const hn::Full128<std::uint32_t> d4;
  for (i64 i = 0; i < rows; i += 4) {
    V32 low01 = hn::InterleaveLower(d, pairs[i], pairs[i + 1]), high01 = hn::InterleaveUpper(d, pairs[i], pairs[i + 1]);
    V32 low23 = hn::InterleaveLower(d, pairs[i + 2], pairs[i + 3]),
        high23 = hn::InterleaveUpper(d, pairs[i + 2], pairs[i + 3]);
    auto words = [&](V32 a, V32 b, bool upper) HWY_ATTR {
      auto x = hn::BitCast(d64, a), y = hn::BitCast(d64, b);
      return hn::BitCast(d, upper ? hn::InterleaveUpper(d64, x, y) : hn::InterleaveLower(d64, x, y));
    };
    const V32 turned[4] = {words(low01, low23, false), words(low01, low23, true), words(high01, high23, false),
                           words(high01, high23, true)};
    for (i64 k = 0; k < 4; ++k) {  // block q holds query 4q + k
      const hn::Half<D32> half;
      const hn::Half<decltype(half)> quarter;
      auto lower = hn::LowerHalf(half, turned[k]), upper = hn::UpperHalf(half, turned[k]);
      auto* to = reinterpret_cast<std::uint32_t*>(tile) + i;
      hn::Store(hn::LowerHalf(quarter, lower), d4, to + k * rows);
      hn::Store(hn::UpperHalf(quarter, lower), d4, to + (4 + k) * rows);
      hn::Store(hn::LowerHalf(quarter, upper), d4, to + (8 + k) * rows);
      hn::Store(hn::UpperHalf(quarter, upper), d4, to + (12 + k) * rows);
    }
  }
}

/// Queries of a head, scaled: of each 16 of them and 32 elements a tile whose rows are pairs of elements.
void pack_queries(const Work& w, i64 head) {
  const AttentionShape& s = w.part.shape;
  const D d;
  const D32 d32;
  V scale = hn::Set(d, score_scale(s));
  for (i64 b = 0; b < w.blocks; ++b)
    for (i64 c = 0; c < s.key_dim / 32; ++c) {
      V32 first[rows], rest[rows];
      for (i64 q = 0; q < rows; ++q) {
        first[q] = rest[q] = hn::Zero(d32);
        if (b * rows + q >= s.group) continue;
        const float* from = w.part.queries + (head * s.group + b * rows + q) * s.key_dim + 32 * c;
        V low = plain_nan(hn::Mul(scale, hn::LoadU(d, from))),
          high = plain_nan(hn::Mul(scale, hn::LoadU(d, from + 16)));
        V even = hn::ConcatEven(d, high, low), odd = hn::ConcatOdd(d, high, low);
        V32 one = upper_half(hn::BitCast(d32, even)), two = upper_half(hn::BitCast(d32, odd));
        first[q] = paired(one, two);
        rest[q] = paired(rest_of(even, one), rest_of(odd, two));
      }
      float* tile = w.queries + (b * s.key_dim / 32 + c) * 2 * tile_floats;
      store_turned(first, tile);
      store_turned(rest, tile + tile_floats);
    }
}

/// 2^x of x <= 0, to 6 parts in 10^5, a hundredth of what bf16 rounds: the whole part by the exponent, the rest by its
/// Taylor series. Not a number stays none.
HWY_INLINE V power_of_two(V x) {
  const D d;
  x = hn::Max(hn::Set(d, -200.0F), x);  // 0 in f32; and where x is infinite the difference below is a number
  V whole = hn::Round(x), f = hn::Sub(x, whole);
  V sum = hn::Set(d, 9.61812911e-3F);  // ln(2)^k / k!, k = 4 ... 0
  for (float c : {5.55041087e-2F, 0.240226507F, 0.693147181F, 1.0F}) sum = hn::MulAdd(sum, f, hn::Set(d, c));
  return V{_mm512_scalef_ps(sum.raw, whole.raw)};
}

/// Scores, in powers of two, to weights, a query a lane, and their sum to the total; false where one is no number.
template <bool full>
HWY_INLINE bool weigh(const Work& w, const Tile& tile, i64 block, V most, V& total, Fetcher& next) {
  const D d;
  const D32 d32;
  const float* scores = w.scores + block * tile_tokens * rows;
  V totals[2] = {hn::Zero(d), hn::Zero(d)};
  i64 a_pair = ceil_div(fetched_a_pair_of_weights, w.blocks);
  for (i64 half = 0; half < 2; ++half) {
    V32 pairs[rows];
    for (i64 p = 0; p < rows; ++p) {
      next.some(a_pair);
      const float* from = scores + (half * 2 * rows + 2 * p) * rows;
      V32 weight[2];
      for (i64 t = 0; t < 2; ++t) {
        V x = power_of_two(hn::Sub(hn::Load(d, from + t * rows), most));
        weight[t] = upper_half(hn::BitCast(d32, x));
        if (!full && p % 8 * 2 + t >= tile.of[2 * half + p / 8].tokens) weight[t] = hn::Zero(d32);
        totals[t] = hn::Add(totals[t], hn::BitCast(d, weight[t]));
      }
      pairs[p] = paired(weight[0], weight[1]);
    }
    store_turned(pairs, w.weights + (block * 2 + half) * tile_floats);
  }
  V sum = hn::Add(totals[0], totals[1]);
  total = hn::Add(total, sum);
  return hn::AllTrue(d, hn::Eq(sum, sum));
}

/// The largest score of each query so far; of what is no number the second operand stays.
template <bool full>
HWY_INLINE V largest(const Work& w, const Tile& tile, i64 block, V before) {
  const D d;
  const float* scores = w.scores + block * tile_tokens * rows;
  V most[stretches] = {before, before, before, before};
  for (i64 t = 0; t < rows; ++t)
    for (i64 s = 0; s < stretches; ++s)
      if (full || t < tile.of[s].tokens) most[s] = hn::Max(hn::Load(d, scores + (s * rows + t) * rows), most[s]);
  return hn::Max(hn::Max(most[0], most[1]), hn::Max(most[2], most[3]));
}

/// Scores, in powers of two, to weights, a query a lane; the sums of all earlier tiles scaled down where a maximum
/// grows.
template <bool full>
void soften(const Work& w, const Tile& tile, i64 block, Fetcher& next, bool again = false) {
  const D d;
  float* maxima = w.maxima + block * rows;
  float* totals = w.totals + block * rows;
  i64 dim = w.part.shape.value_dim;
  V before = hn::Load(d, maxima), most = largest<full>(w, tile, block, before), total = hn::Load(d, totals);
  if (!hn::AllTrue(d, hn::Eq(most, before))) {
    HWY_ALIGN float keep[rows];
    V kept = power_of_two(hn::Sub(before, most));
    hn::Store(kept, d, keep);
    hn::Store(most, d, maxima);
    total = hn::Mul(total, kept);
    for (i64 n = 0; n < dim / rows; ++n)
      for (i64 q = 0; q < rows; ++q) {
        float* sums = w.sums + ((block * dim / rows + n) * rows + q) * rows;
        hn::Store(hn::Mul(hn::Set(d, keep[q]), hn::Load(d, sums)), d, sums);
      }
    hn::Store(total, d, totals);
  }
  if (weigh<full>(w, tile, block, most, total, next) || again) {
    hn::Store(total, d, totals);
  } else {
    rescore(w, tile, block);
    soften<full>(w, tile, block, next, true);
  }
}

/// 32 elements of all values, two tokens' after each other, element by element: two tiles for each half of the tokens.
/// Lower and upper are those of 16 bytes each, which finish_head undoes.
template <bool full>
HWY_INLINE void interleave_values(const Work& w, const Tile& tile, Fetcher& next, i64 element) {
  const hn::Repartition<std::uint16_t, D> d;
  i64 row = w.part.cache.value_row;
  for (i64 s = 0; s < stretches; ++s) {
    const Rows& r = tile.of[s];
    const std::byte* from = r.values + 2 * element;
    float* to = w.values + s / 2 * 2 * tile_floats + s % 2 * 8 * rows;
    for (i64 t = 0; t < rows; t += 2, from += 2 * row, to += rows) {
      next.some(fetched_a_pair_of_rows);
      auto load = [&](i64 token) HWY_ATTR {
        return full || t + token < r.tokens ? hn::LoadU(d, reinterpret_cast<const std::uint16_t*>(from + token * row))
                                            : hn::Zero(d);
      };
      auto a = load(0), b = load(1);
      hn::Store(hn::BitCast(D(), hn::InterleaveLower(d, a, b)), D(), to);
      hn::Store(hn::BitCast(D(), hn::InterleaveUpper(d, a, b)), D(), to + tile_floats);
    }
  }
}

HWY_INLINE void load_weights(const Work& w, i64 block) {
  const float* weights = w.weights + block * 2 * tile_floats;
  KVROOF_TILE_LOAD(4, weights, row_bytes);
  KVROOF_TILE_LOAD(5, weights + tile_floats, row_bytes);
}

template <bool full>
void add_values(const Work& w, const Tile& tile, Fetcher& next) {
  i64 columns = w.part.shape.value_dim / rows;
  load_weights(w, 0);
  for (i64 n = 0; n < columns; n += 2) {
    interleave_values<full>(w, tile, next, n * rows);
    for (i64 b = 0; b < w.blocks; ++b) {
      if (w.blocks > 1) load_weights(w, b);
      float* sums = w.sums + (b * columns + n) * tile_floats;
      KVROOF_TILE_LOAD(0, sums, row_bytes);
      KVROOF_TILE_LOAD(1, sums + tile_floats, row_bytes);
      KVROOF_TILE_LOAD(2, w.values, row_bytes);
      KVROOF_TILE_PRODUCT(0, 4, 2);
      KVROOF_TILE_LOAD(3, w.values + tile_floats, row_bytes);
      KVROOF_TILE_PRODUCT(1, 4, 3);
      KVROOF_TILE_LOAD(6, w.values + 2 * tile_floats, row_bytes);
      KVROOF_TILE_PRODUCT(0, 5, 6);
      KVROOF_TILE_LOAD(7, w.values + 3 * tile_floats, row_bytes);
      KVROOF_TILE_PRODUCT(1, 5, 7);
      KVROOF_TILE_STORE(0, sums, row_bytes);
      KVROOF_TILE_STORE(1, sums + tile_floats, row_bytes);
    }
  }
}

/// From scores to sums.
template <bool full>
void work_on(const Work& w, const Tile& tile, Fetcher& next) {
  for (i64 b = 0; b < w.blocks; ++b) soften<full>(w, tile, b, next);
  add_values<full>(w, tile, next);
}

void start_head(const Work& w, i64 head) {
  i64 queries = w.blocks * rows;
  std::fill_n(w.sums, queries * w.part.shape.value_dim, 0.0F);
  std::fill_n(w.maxima, queries, std::numeric_limits<float>::lowest());
  std::fill_n(w.totals, queries, 0.0F);
  pack_queries(w, head);
}

/// Sums to where threads merge them, in the order of elements.
void finish_head(const Work& w, i64 head) {
  const AttentionShape& s = w.part.shape;
  for (i64 g = 0; g < s.group; ++g) {
    i64 query = head * s.group + g, block = g / rows, q = g % rows;
    w.part.maxima[query] = float(double(w.maxima[g]) * std::log(2.0));
    w.part.weights[query] = w.totals[g];
    for (i64 n = 0; n < s.value_dim / rows; n += 2) {  // lower and upper halves of 16 bytes
      const float* lower = w.sums + ((block * s.value_dim / rows + n) * rows + q) * rows;
      float* to = w.part.sums + query * s.value_dim + n * rows;
      for (i64 i = 0; i < rows; i += 4, to += 8) {
        std::memcpy(to, lower + i, 16);
        std::memcpy(to + 4, lower + tile_floats + i, 16);
      }
    }
  }
}

float multiply_tiles(i64 rounds) {
  HWY_ALIGN float zeros[tile_floats] = {};
  __asm__ volatile("ldtilecfg %0" : : "m"(config));
  KVROOF_TILE_LOAD(4, zeros, row_bytes);
  KVROOF_TILE_LOAD(5, zeros, row_bytes);
  KVROOF_TILE_LOAD(6, zeros, row_bytes);
  KVROOF_TILE_LOAD(7, zeros, row_bytes);
  KVROOF_TILE_ZERO(0);
  KVROOF_TILE_ZERO(1);
  KVROOF_TILE_ZERO(2);
  KVROOF_TILE_ZERO(3);
  for (i64 r = 0; r < rounds; ++r) {
    KVROOF_TILE_PRODUCT(0, 4, 6);
    KVROOF_TILE_PRODUCT(1, 4, 7);
    KVROOF_TILE_PRODUCT(2, 5, 6);
    KVROOF_TILE_PRODUCT(3, 5, 7);
  }
  KVROOF_TILE_STORE(0, zeros, row_bytes);
  __asm__ volatile("tilerelease");
  return zeros[0];
}

void run_part(const KernelPart& part) {
  const AttentionShape& s = part.shape;
  Work w{.part = part, .blocks = ceil_div(s.group, rows), .tiles = tiles_of(s)};
  float** buffers[] = {&w.queries, &w.scores, &w.weights, &w.values, &w.sums, &w.maxima, &w.totals, &w.staged};
  std::array<i64, std::size(buffers)> floats = amx_buffer_floats(s);
  float* at = part.scratch;
  for (std::size_t i = 0; i < floats.size(); ++i) *buffers[i] = at, at += floats[i];
  // Where rows are shorter than 256 bytes stretches would else fall into the same sets of the first cache
  // (stretch_lead).
  w.lead = w.tiles % 4 == 0 ? 1 : 0;
  __asm__ volatile("ldtilecfg %0" : : "m"(config));
  Tile tiles[2];
  i64 head = -1;
  for (i64 flat = part.tile; flat < part.end; ++flat) {
    Tile &tile = tiles[flat % 2], &next = tiles[(flat + 1) % 2];
    if (flat == part.tile) find_rows(w, flat, tile);
    find_rows(w, std::min(flat + 1, part.end - 1), next);
    if (tile.head != head) {
      if (head >= 0) finish_head(w, head);
      head = tile.head;
      start_head(w, head);
    }
    Fetcher fetcher(w, next);
    score(w, tile, fetcher);
    if (tile.full())
      work_on<true>(w, tile, fetcher);
    else
      work_on<false>(w, tile, fetcher);
    fetcher.some(1 << 20);
  }
  if (head >= 0) finish_head(w, head);
  __asm__ volatile("tilerelease");
}

}  // namespace amx
#endif

void run_amx_part(const KernelPart& part) {
#if HWY_TARGET == HWY_AVX3
  amx::run_part(part);
#else
  (void)part;
#endif
}

float multiply_tiles_here(i64 rounds) {
#if HWY_TARGET == HWY_AVX3
  return amx::multiply_tiles(rounds);
#else
  return float(rounds);
#endif
}

}  // namespace HWY_NAMESPACE
}  // namespace kvroof
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kvroof {

std::array<i64, 8> amx_buffer_floats(const AttentionShape& s) {
  constexpr i64 rows = 16, tile = 256, tokens = 64;
  i64 blocks = ceil_div(s.group, rows), queries = blocks * rows;
  return {blocks * s.key_dim / 32 * 2 * tile,
          queries * tokens,
          blocks * 2 * tile,
          4 * tile,
          queries * s.value_dim,
          queries,
          queries,
          tokens * s.key_dim / 2};
}
i64 amx_scratch_floats(const AttentionShape& s) {
  std::array<i64, 8> floats = amx_buffer_floats(s);
  return std::accumulate(floats.begin(), floats.end(), i64{0});
}

float multiply_tiles(i64 rounds, Flops& flops) {
  constexpr double sums = 4, of_one = 2 * 16 * 16 * 32;  // every sum of 16 x 16 takes 32 products
  static constexpr Version<float(i64)> versions[] = KVROOF_VERSIONS(multiply_tiles_here);
  flops = {sums * of_one * double(rounds)};
  return chosen(versions)(rounds);
}

void run_amx_part(const KernelPart& part) {
  static constexpr Version<void(const KernelPart&)> versions[] = KVROOF_VERSIONS(run_amx_part);
  chosen(versions)(part);
}

}  // namespace kvroof
#endif
