// A machine as its probes found it, and as the estimator sees it: a Device like any of the catalogue.
//
// Tiers are what working sets showed, not what the system says of its caches. A step from one tier streams at the
// tier's read bandwidth; what the kernel costs the cores was timed on cached data; how far the two hide each other was
// fitted on shapes that nothing is later judged on. A prediction is core's decode attention on that device.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/hardware.h"
#include "measure/shape.h"

namespace kvroof {

/// How the kernel streams from a tier: the share of a read's bandwidth it reaches, and Overlap::hidden beside it.
struct Fit {
  double fraction = 1, hidden = 0;
};

/// The same where rows follow each other, and where they lie in pages of 16 tokens.
struct Streams {
  Fit contiguous, paged;
};

/// One level of memory: the largest working set it holds and how fast all threads, and one alone, read it.
struct MeasuredTier {
  Bytes capacity;  ///< of the last: the memory this process may use
  Bandwidth bandwidth;
  Bandwidth one_thread;
  Streams vectors;  ///< of the kernel on vectors
  Streams tiles;    ///< of that on AMX's tiles, where there is one
};

struct Profile {
  std::string cpu_name;
  std::string instruction_set;
  i64 threads = 1;
  FlopRate peak;                      ///< f32 multiply-adds, all threads
  std::optional<FlopRate> tile_peak;  ///< bf16 products of AMX's tiles
  Seconds fork_join;                  ///< an empty job
  std::vector<MeasuredTier> tiers;    ///< fastest first; the last is main memory
  std::vector<CoreCost> core;
  /// Of what a kernel is made of that works on so many queries at once: products of tiles, or multiply-adds.
  FlopRate peak_of(i64 block) const { return block > 1 ? tile_peak.value_or(peak) : peak; }
};

/// The machine with its memory as the only tier and its last cache as cache.
Device device_of(const Profile& profile);
/// The same, as a step sees it whose data lies in that tier, in pages or not.
Device device_of(const Profile& profile, std::size_t tier, Paging paging = Paging::contiguous);

/// The same where memory streams at its bandwidth, nothing hides anything and jobs start at once: a step is then the
/// stream and the cores' time.
Device unhidden(Device device);

/// One step of this shape by core's decode attention.
Seconds predict(const AttentionShape& shape, const Device& device);

/// A read bandwidth seen at a working set.
struct SweepPoint {
  Bytes working_set;
  Bandwidth bandwidth;
};
/// Tiers of a sweep over growing working sets: a tier ends where the bandwidth falls below 65 % of its best and stays
/// there; what lies on the slope belongs to neither side.
std::vector<MeasuredTier> tiers_of(const std::vector<SweepPoint>& sweep);

/// Times of a kernel on cached data, seconds for one token of one KV head while all threads are at it: width 128 with a
/// narrow and a wide group, width 64 with the wide one.
struct CoreTimes {
  Seconds narrow_group, wide_group, half_width;
};
/// The groups a kernel is timed with: 1 and 8, on tiles one block of queries and two.
struct CoreGroups {
  i64 narrow = 1, wide = 8;
};
CoreCost core_cost_of(const Format& format, const CoreTimes& times, FlopRate peak, CoreGroups groups = {});

/// One timed shape as the fit sees it: its stream at the tier's bandwidth, the cores' time, and what was measured.
struct FitPoint {
  Seconds stream, core, measured;
};
/// What explains the points best, in squared logarithms; all of a read and no overlap without points.
Fit fit_of(const std::vector<FitPoint>& points);

}  // namespace kvroof
