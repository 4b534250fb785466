#include "core/kernel.h"

#include <algorithm>
#include <cmath>

#include "core/hardware.h"

namespace kvroof {
namespace {

constexpr i64 kernel_page = 64;     ///< tokens a kernel loads at once: a cache is read in whole pages
constexpr i64 tokens_a_tile = 256;  ///< long caches are split into pieces of about so many tokens

bool fits_cache(const Device& device, Bytes bytes, double part) {
  return device.cache && bytes < part * device.cache->capacity;
}

/// With few pieces of work not all cores draw on the memory.
double limited(double share, const AttentionRate& rate, const Device& device, double tiles, i64 context) {
  if (rate.reach <= 0 || !device.cores) return share;
  double pieces = tiles * double(ceil_div(std::max<i64>(context, 1), tokens_a_tile));
  return std::min(share, rate.reach * std::min(1.0, pieces / double(*device.cores)));
}

}  // namespace

Arithmetic attention_arithmetic(const Format& cache) {
  return cache.arithmetic == Arithmetic::fp8 ? Arithmetic::fp8 : Arithmetic::bf16;
}

double attention_share(const AttentionRate& rate, const Device& device, double tiles, i64 context) {
  return limited(rate.fraction, rate, device, tiles, context);
}

Seconds tile_time(const AttentionRate& rate, const Device& device, double tiles) {
  return device.cores ? tiles / double(*device.cores) * rate.tile : Seconds{};
}

Seconds attention_time(const Device& device, const AttentionRate& rate, const Format& cache, const AttentionCall& c,
                       bool warm) {
  double tiles = c.batch * c.kv_heads;
  double pages = double(ceil_div(c.context, kernel_page) * kernel_page);
  Bytes bytes = cache.size(2 * c.batch * c.kv_heads * c.head_dim * pages, i64(c.head_dim));
  double share = warm && fits_cache(device, bytes, 1) ? std::max(rate.cached, rate.fraction) : rate.fraction;
  share = limited(share, rate, device, tiles, c.context);
  Seconds memory = bytes / (share * device.memory[0].bandwidth);
  std::optional<FlopRate> peak = device.peak_for(attention_arithmetic(cache));
  Flops flops{4 * c.batch * c.query_heads * c.head_dim * double(c.context)};
  Seconds compute = peak ? flops / (device.achievable.compute * *peak) : Seconds{};
  return rate.launch + tile_time(rate, device, tiles) + device.achievable.overlap.join(memory, compute);
}

Seconds linear_time(const Device& device, const LinearRate& rate, const Format& format, double elements, double rows,
                    bool warm) {
  Bytes bytes = format.size(elements, 1 << 20);
  // Half of the cache: the matrix shares it with what is read and written beside it.
  double share = warm && fits_cache(device, bytes, 0.5) ? std::max(rate.cached, rate.fraction) : rate.fraction;
  Seconds memory = bytes / (share * device.memory[0].bandwidth);
  std::optional<FlopRate> peak = device.peak_for(format.arithmetic);
  double reached = rate.compute > 0 ? rate.compute : device.achievable.compute;
  Seconds compute = peak ? Flops{2 * elements * rows} / (reached * *peak) : Seconds{};
  return rate.launch + device.achievable.overlap.join(memory, compute);
}

Seconds all_reduce_time(const AllReduceRate& rate, Bytes payload) {
  Seconds small = rate.latency + payload / rate.rate, bulk = rate.bulk_latency + payload / rate.bulk_rate;
  return small < bulk ? small : bulk;
}

}  // namespace kvroof
