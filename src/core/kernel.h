// Kernels timed one by one on a device: what one engine's attention, linear or all-reduce takes there.
//
// Each is a few constants with a meaning (a launch, a share of the bandwidth, a cost per tile), fitted on the rows of
// a measured table by `kvroof fit`, with the error and the 80 % interval that rows left out of the fit had. A table's
// kernels replay the same buffers, so what fits the last-level cache runs at the cache's speed: `warm` says so; in a
// real step the weights evict the KV cache and a kernel is never warm.
#pragma once

#include <string>
#include <vector>

#include "core/dtype.h"
#include "core/quantity.h"

namespace kvroof {

struct Device;

/// A linear layer in one arithmetic: t = launch + max(bytes/(fraction*BW), flops/(compute*peak)).
struct LinearRate {
  double fraction = 0;
  Seconds launch;
  double compute = 0;  ///< share of the dense peak; 0: the device's own
  double cached = 0;   ///< share of the memory bandwidth while the matrix stays in the last-level cache
  bool operator==(const LinearRate&) const = default;
};

/// Decode attention: t = launch + tile*(B*kv_heads)/cores + bytes/(fraction*BW). With few tiles not all cores work:
/// the share is at most reach * (tiles * context/256) / cores.
struct AttentionRate {
  double fraction = 0;
  Seconds launch;
  Seconds tile;
  double reach = 0;   ///< bandwidth the cores draw together when each has a tile, over the device's; 0: no limit known
  double cached = 0;  ///< share of the memory bandwidth while K and V stay in the last-level cache
  bool operator==(const AttentionRate&) const = default;
};

/// An all-reduce: the faster of two algorithms, one for small and one for large messages, each latency + bytes/rate.
struct AllReduceRate {
  Seconds latency;
  Bandwidth rate;
  Seconds bulk_latency;
  Bandwidth bulk_rate;
  bool operator==(const AllReduceRate&) const = default;
};

/// How well the constants meet the rows they come from.
struct KernelFit {
  i64 rows = 0;
  double error = 0;  ///< median error of rows left out of the fit
  double low = 1;    ///< 80 % of measured/predicted lay between, rows left out
  double high = 1;
  bool operator==(const KernelFit&) const = default;
};

struct TimedAttention {
  std::string engine, kernel;
  Format format = kvroof::format("bf16");  ///< of the cache
  AttentionRate rate;
  KernelFit fit;
  bool operator==(const TimedAttention&) const = default;
};

struct TimedLinear {
  std::string engine, kernel;
  Format format = kvroof::format("bf16");  ///< of the weights
  LinearRate rate;
  KernelFit fit;
  bool operator==(const TimedLinear&) const = default;
};

struct TimedAllReduce {
  std::string engine, kernel;
  i64 ranks = 2;
  i64 nodes = 1;
  AllReduceRate rate;
  KernelFit fit;
  bool operator==(const TimedAllReduce&) const = default;
};

struct KernelTable {
  std::vector<TimedAttention> attention;
  std::vector<TimedLinear> linears;
  std::vector<TimedAllReduce> all_reduce;
};

/// What attention over a cache in that format is computed in.
Arithmetic attention_arithmetic(const Format& cache);

/// One call of a decode-attention kernel: `batch` sequences of `context` cached tokens.
struct AttentionCall {
  double query_heads = 1, kv_heads = 1, head_dim = 128;
  double batch = 1;
  i64 context = 1;
};

/// The share of the bandwidth that `tiles` pieces of work of `context` tokens draw.
double attention_share(const AttentionRate& rate, const Device& device, double tiles, i64 context);
Seconds tile_time(const AttentionRate& rate, const Device& device, double tiles);

Seconds attention_time(const Device& device, const AttentionRate& rate, const Format& cache, const AttentionCall& call,
                       bool warm);
/// One matrix of `elements` in `format` times `rows` rows, its launch included, from the fastest tier.
Seconds linear_time(const Device& device, const LinearRate& rate, const Format& format, double elements, double rows,
                    bool warm);
Seconds all_reduce_time(const AllReduceRate& rate, Bytes payload);

}  // namespace kvroof
