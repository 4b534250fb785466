// One measuring of a machine: probe it, hold the kernel against the reference, then time shapes and predict them.
//
// A prediction never sees the time it predicts: it is made from the read bandwidth, the cost of the kernel on cached
// data, and an overlap fitted on shapes of widths and groups that are not asked for. Everything is sampled in turn, so
// that the read beside a shape, the probes and the shape itself are of the same minutes.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "measure/limits.h"
#include "measure/profile.h"
#include "measure/samples.h"

namespace kvroof {

/// A shape to be timed, its cache in main memory or in the last cache.
struct ShapeRequest {
  AttentionShape shape;
  bool cached = false;
};

struct MeasureRequest {
  std::vector<ShapeRequest> shapes;
  int threads = 1;
  int wanted = 25;        ///< quiet samples of each
  Seconds budget = {35};  ///< for sampling shapes
  i64 walk_bytes = 0;     ///< of the read probes
  std::function<void(const std::string& stage, double share)> progress = [](const std::string&, double) {};
};

/// What was seen of one shape.
struct ShapeRun {
  AttentionShape shape;
  std::size_t tier = 0;  ///< of the profile
  double mismatch = 0;   ///< of the kernel against the reference
  Samples kernel, read;  ///< the read beside it: the same tier, of `read_bytes`
  i64 read_bytes = 0;
  Seconds predicted;

  bool judged() const { return kernel.enough(); }
  double error() const { return predicted / kernel.median() - 1; }
  Bandwidth achieved() const { return cache_bytes(shape) / kernel.median(); }
  Bandwidth read_bandwidth() const { return Bytes{double(read_bytes)} / read.median(); }
};

struct MeasureRun {
  Profile profile;
  Limits limits;
  std::string priority;      ///< the samples were taken at
  int taken = 0, quiet = 0;  ///< samples of everything
  std::vector<SweepPoint> sweep, sweep_one_thread;
  std::vector<ShapeRun> shapes;
  std::string failed;  ///< why there is no result; empty when there is one
};

/// Memory a request needs in all.
Bytes memory_needed(const MeasureRequest& request);

/// The kernel's distance from the reference on a short context of the shape, its maximum over the largest value.
double mismatch_of(const AttentionShape& shape, Team& team);

MeasureRun measure(const MeasureRequest& request, const Limits& limits);

}  // namespace kvroof
