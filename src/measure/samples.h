// Timing on a machine that others use too: what was quiet is kept, what was disturbed is counted and dropped.
//
// A job is quiet when its busiest thread had the CPU for all but 3 % of the job's wall time. Everything to be timed is
// sampled round after round, in turn, so that a drift of the machine falls on all alike, until each has enough quiet
// samples or the time is up. Fewer than nine quiet samples are no verdict.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "measure/team.h"

namespace kvroof {

inline constexpr double most_lost = 0.03;
inline constexpr int least_quiet = 9;

/// What was seen of one job. Medians and quantiles are of quiet samples; 0 when there are none.
struct Samples {
  std::vector<double> quiet;  ///< seconds
  int taken = 0;
  void add(const JobTime& time);
  Seconds quantile(double q) const;
  Seconds median() const { return quantile(0.5); }
  bool enough() const { return int(quiet.size()) >= least_quiet; }
};

double quantile_of(std::vector<double> values, double q);

/// One thing to be timed: `sample` runs it once.
struct Timed {
  std::string name;
  std::function<JobTime()> sample;
  Samples samples = {};
};

/// Rounds over all until each has `wanted` quiet samples or `budget` has passed; between jobs the CPU is left to others
/// for a moment. `progress` is told the share done, now and then.
void sample_in_turn(std::vector<Timed>& all, int wanted, Seconds budget, const std::function<void(double)>& progress);

/// The highest priority the system grants this thread and those it makes, until the end of scope: real-time, else nice
/// -20, else none. Without one, a busy machine leaves few samples quiet. Jobs are short and sleeps lie between them.
class RaisedPriority {
 public:
  RaisedPriority();
  ~RaisedPriority();
  RaisedPriority(const RaisedPriority&) = delete;
  RaisedPriority& operator=(const RaisedPriority&) = delete;
  /// real-time, nice -20, or ordinary
  const std::string& name() const { return name_; }

 private:
  int nice_before_ = 0;
  std::string name_ = "ordinary";
};

}  // namespace kvroof
