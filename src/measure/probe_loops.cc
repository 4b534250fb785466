// The probes' loops, compiled once for each instruction set as the kernel is.
#include "measure/instruction_set.h"
//
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "measure/probe_loops.cc"
#include <hwy/foreach_target.h>
//
#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include <cstdint>

#include "core/quantity.h"

HWY_BEFORE_NAMESPACE();
namespace kvroof {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<float, 16>;
using V = hn::Vec<D>;
constexpr i64 lanes = i64(hn::MaxLanes(D()));
constexpr i64 line = 16;  ///< floats

/// One stream's line: summed as integers, so that no bit pattern is slow.
template <class Tag>
HWY_INLINE hn::Vec<Tag> read_line(Tag du, const std::uint32_t* from, hn::Vec<Tag> sum) {
  HWY_UNROLL(8)
  for (i64 i = 0; i < line; i += lanes) sum = hn::Xor(sum, hn::LoadU(du, from + i));
  return sum;
}

float read_streams(const std::byte* memory, i64 bytes) {
  const hn::RebindToUnsigned<D> du;
  constexpr i64 streams = 4, ahead = 2048;  // bytes
  const std::uint32_t* from = reinterpret_cast<const std::uint32_t*>(memory);
  i64 each = bytes / 4 / streams / line * line;
  // Apart by a quarter of 4 KiB beyond whole ones: streams that start alike would share sets of the first cache.
  if (each >= 1024 * line) each = (each / (64 * line) - 1) * 64 * line + 16 * line;
  auto a = hn::Zero(du), b = a, c = a, e = a;
  for (i64 i = 0; i < each; i += line) {
    const std::uint32_t* at = from + i;
    HWY_UNROLL(8)
    for (i64 s = 0; s < streams; ++s) hwy::Prefetch(reinterpret_cast<const std::byte*>(at + s * each) + ahead);
    a = read_line(du, at, a);
    b = read_line(du, at + each, b);
    c = read_line(du, at + 2 * each, c);
    e = read_line(du, at + 3 * each, e);
  }
  return float(hn::GetLane(hn::Xor(hn::Xor(a, b), hn::Xor(c, e))));
}

float multiply_add_chains(i64 rounds, i64* flops) {
  const D d;
  constexpr i64 chains = 12, unrolled = 4;
  V sums[chains];
  HWY_UNROLL(12)
  for (i64 c = 0; c < chains; ++c) sums[c] = hn::Set(d, float(c));
  V x = hn::Set(d, 0.999F), y = hn::Set(d, 0.001F);
  for (i64 r = 0; r < rounds; ++r) {
    HWY_UNROLL(4)
    for (i64 u = 0; u < unrolled; ++u) HWY_UNROLL(12)
    for (i64 c = 0; c < chains; ++c) sums[c] = hn::MulAdd(sums[c], x, y);
  }
  *flops = 2 * lanes * chains * unrolled * rounds;
  V all = sums[0];
  HWY_UNROLL(12)
  for (i64 c = 1; c < chains; ++c) all = hn::Add(all, sums[c]);
  return hn::GetLane(all);
}

}  // namespace HWY_NAMESPACE
}  // namespace kvroof
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "measure/probe_loops.h"

namespace kvroof {

float read_bytes(const std::byte* from, i64 bytes) {
  static constexpr Version<float(const std::byte*, i64)> versions[] = KVROOF_VERSIONS(read_streams);
  return chosen(versions)(from, bytes);
}

float multiply_add(i64 rounds, Flops& flops) {
  i64 done = 0;
  static constexpr Version<float(i64, i64*)> versions[] = KVROOF_VERSIONS(multiply_add_chains);
  float sum = chosen(versions)(rounds, &done);
  flops = {double(done)};
  return sum;
}

}  // namespace kvroof
#endif
