// The points of a sweep, one after another: only what an axis changed is worked out anew.
//
// A walker belongs to one thread. What walkers share (models and devices, read once) is in SweepSpecs and not changed.
#pragma once

#include <optional>

#include "cli/axes.h"
#include "core/metric.h"

namespace kvroof {

/// A device of the sweep with the engines it is run by.
struct SweptDevice {
  Device device;
  RangeRule range;
  std::vector<Engine> engines;  ///< one for each value of the engine axis
};

struct SweepSpecs {
  std::vector<SweepAxis> axes;
  SetupOptions options;  ///< of the first point
  std::vector<Model> models;
  std::vector<SweptDevice> devices;
  std::vector<i64> batches;
  bool serves = false;      ///< some column or limit needs the load
  bool tells_rank = false;  ///< or the tightest rank
};

/// Reads all models, devices and engines, and every value of every axis once, so that bad input ends a sweep before
/// its first row. Throws InputError.
SweepSpecs specs_of(std::vector<SweepAxis> axes, const SetupOptions& options, const Catalog& catalog);

class SweepWalker {
 public:
  explicit SweepWalker(const SweepSpecs& specs);
  /// Moves to a point. False where it can't be: the model can't be laid out so.
  bool move_to(i64 point);
  Outcome outcome() const;
  /// Index of the value of an axis here.
  std::size_t at(std::size_t axis) const { return at_[axis]; }
  /// Why the last point can't be.
  const std::string& problem() const { return problem_; }

 private:
  std::size_t shared_index(Level level) const;
  void rebuild(Level from);
  void prepare(Level from);
  void set_workload(Level from);
  bool refused(const std::vector<Problem>& found);
  bool advance(i64 point, Level& changed);
  void set_axis(std::size_t axis, std::size_t value, Level& changed);

  const SweepSpecs& specs_;
  SetupOptions options_;
  std::vector<std::size_t> at_;
  i64 point_ = -1;  ///< where it stands
  std::size_t batch_axis_ = 0;
  std::optional<std::size_t> context_axis_;  ///< where nothing else of a workload varies
  bool laid_out_ = false, valid_ = false;
  std::string problem_;
  Setup setup_;
  std::optional<Ranks> ranks_;
  std::optional<Decoder> decoder_;
  Memory memory_;                   ///< with a batch of one
  std::optional<Memory> too_much_;  ///< with a batch that does not fit
  std::optional<Load> load_;
  std::optional<Serving> serving_;
  Step step_;
  bool runs_ = false;  ///< the batch fits
};

}  // namespace kvroof
