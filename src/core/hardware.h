// A device: dense peak rates, an ordered list of memory tiers, links, and what of it is achievable.
//
// Datasheet and achievable values are different fields: the floor of a step uses the former alone, the
// expected time the latter. Unknown is absent, never 0 or -1. Bandwidths are decimal, links per direction.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "core/dtype.h"
#include "core/kernel.h"
#include "core/model.h"

namespace kvroof {

/// One level of memory. Tiers are ordered fastest first; placement fills them in that order.
struct MemoryTier {
  std::string kind;               ///< HBM3, LPDDR5X, SRAM, …
  Bytes capacity;                 ///< usable, as the driver reports it
  Bandwidth bandwidth;            ///< datasheet
  std::optional<Bandwidth> link;  ///< when the tier hangs behind a link
  std::optional<Bytes> marketed;
  /// What a step can stream from it at best.
  Bandwidth reachable() const { return link ? smaller(*link, bandwidth) : bandwidth; }
};

struct Cache {
  Bytes capacity;
  std::optional<Bandwidth> bandwidth;
};

/// The scale-up link. `pair` is what two devices reach alone (a mesh gives a pair one of its links).
struct Link {
  std::string kind;
  Bandwidth per_direction;
  std::optional<Bandwidth> pair;
  i64 domain = 1;  ///< devices that reach each other over it
};

/// How one op's memory and arithmetic times combine: the share of the shorter one that hides under the longer.
struct Overlap {
  double hidden = 1;
  static constexpr Overlap max() { return {1}; }  ///< the longer one alone
  static constexpr Overlap sum() { return {0}; }  ///< one after the other
  bool operator==(const Overlap&) const = default;
  Seconds join(Seconds memory, Seconds compute) const { return memory + compute - hidden * smaller(memory, compute); }
};

/// What decode attention costs the cores beside the stream from memory: all of them at work on cached data.
/// t = elements * element + scores * score + flops / rate, by the format of the cache. A kernel that works on blocks of
/// queries, as matrix units do, takes as long for a part of a block as for all of it.
struct CoreCost {
  Format format;
  Seconds element;     ///< decoding one cached element
  Seconds score;       ///< of one query head and token: its sum over lanes and its share of the softmax
  FlopRate rate;       ///< multiplying and adding
  i64 block = 1;       ///< queries of a head worked on at once
  i64 from_group = 1;  ///< queries of a head from which on this kernel runs
  std::optional<double> fraction = {};  ///< of the bandwidth it streams at, where not that of attention
  std::optional<Overlap> overlap = {};  ///< and how far the two hide each other, where not as on the rest of the device
};

/// In words, how well the constants of a time are known; it decides the width of the range.
enum class Basis { measured_kernels, own_rows, family_default, vendor_figures, datasheet_only, observed };

/// What of a device's peaks is reached. Per arithmetic where it was measured; the nearest wider one stands in.
struct Achievable {
  Basis basis = Basis::datasheet_only;
  double compute = 0.5;
  Overlap overlap;
  std::array<std::optional<LinearRate>, 7> linears;  ///< by Arithmetic
  std::array<std::optional<AttentionRate>, 7> attention;
  std::vector<CoreCost> core;  ///< where the kernel's own work was measured: by format of the cache
  Seconds all_reduce[3] = {};  ///< small messages over 2, 4 and 8 devices
  Seconds network_latency;     ///< of a collective that leaves the scale-up domain
  Seconds hop;                 ///< handing activations to the next pipeline stage
  double link = 0.7;           ///< share of the link's bandwidth a collective reaches
  Seconds layer;               ///< fixed time per layer not in the ops (SRAM parts: all of it)
  Seconds layer_per_1024_hidden;
  Seconds step;                        ///< fixed time per token
  std::optional<Bandwidth> core_rate;  ///< what a matrix-vector kernel draws per core at most
  std::string source;

  const LinearRate& linear_rate(Arithmetic arithmetic) const;
  const AttentionRate& attention_rate(Arithmetic arithmetic) const;
  /// That of the kernel for so many queries of a head; null where none was measured.
  const CoreCost* core_cost(const Format& format, double group) const;
};

struct Price {
  double dollars_per_hour = 0;
  std::string source;
};

struct Device {
  std::string id;
  std::string name;
  std::string vendor;
  std::string device_class;  ///< gpu, superchip, soc, cpu, asic-hbm, asic-sram, …
  std::vector<std::string> aliases;
  std::optional<i64> year;
  std::string status;
  std::array<std::optional<FlopRate>, 7> peak;  ///< dense, by Arithmetic
  std::vector<MemoryTier> memory;
  std::optional<Cache> cache;
  std::optional<i64> cores;
  std::optional<Link> link;
  std::optional<Bandwidth> network;
  std::optional<Bandwidth> host_link;
  std::optional<double> watts;
  std::optional<Price> price;
  Achievable achievable;
  KernelTable kernels;  ///< those timed on it, by engine
  std::string source;
  Confidence confidence = Confidence::C;
  std::vector<std::string> notes;

  /// Peak of the arithmetic, or of the fastest wider one the device has (fp8 weights on an A100 run in bf16).
  std::optional<FlopRate> peak_for(Arithmetic arithmetic) const;
};

std::vector<Problem> problems(const Device& device);
std::string_view name_of(Basis basis);

}  // namespace kvroof
