// Time of one decode step: a floor nothing can beat, what to expect, a range, and where every millisecond goes.
//
// Ops run one after another, each its own roofline; their times add. Floor: the least bytes a step must move
// at datasheet bandwidth, against its flops at dense peak rate. Expected: measured launch costs and achieved
// fractions per op, plus the engine's own costs. The range comes from the basis of those constants.
#pragma once

#include <string_view>
#include <vector>

#include "core/operations.h"

namespace kvroof {

struct Step {
  i64 batch = 0;
  Seconds floor;  ///< 0 with floor_claimed false where no bound is known
  Seconds floor_memory;
  Seconds floor_compute;
  bool floor_claimed = true;
  Seconds expected;
  Seconds low, high;  ///< 80 % of comparable measurements lay between
  Basis basis = Basis::datasheet_only;
  std::string_view bound_by;
  StepParts parts;
  double tokens_per_second = 0;  ///< over all replicas
  double tokens_per_second_per_user = 0;
};

/// 80 % interval of measured/expected for a basis, from the residuals of its calibration rows.
struct RangeRule {
  double low = 1;
  double high = 1;
  double experts_low = 0;  ///< for models with experts, where they are known less well; 0: the same
  double experts_high = 0;
  double ttft_low = 0;  ///< of the time to the first token; 0: as of a step
  double ttft_high = 0;
  double experts_ttft_low = 0;
  double experts_ttft_high = 0;
  /// That of the model: low and high of its kind, both given.
  RangeRule of(const Model& model) const;
};

/// Steps of one layout: what neither context nor batch changes is worked out once. The references must outlive it.
class Decoder {
 public:
  Decoder(const Model& model, const Device& device, const Deployment& deployment, const Engine& engine,
          const RangeRule& range);
  /// Sets the cached tokens, shared prefix and new tokens of every sequence; the workload's batch is not used.
  void set_workload(const Workload& workload);
  Step step(i64 batch) const;
  Seconds expected(i64 batch) const { return pass(batch).seconds(); }

 private:
  Pass pass(i64 batch) const;

  Schedule schedule_;
  RangeRule range_;
  const Deployment& d_;
  double query_tokens_ = 1;
  std::vector<AttentionOp> attention_;
  Bytes resident_shared_;    ///< weights, and what all sequences have in common
  Bytes resident_sequence_;  ///< what each adds
};

/// Of `batch` sequences those that a stage works on at once, where the engine keeps all stages busy: the mean, since
/// stages that are handed 2, 1, 1 and 1 take turns.
double sequences_at_once(const Deployment& deployment, const Engine& engine, i64 batch);

/// One decode step of `workload.batch` sequences on one replica.
Step decode_step(const Model& model, const Device& device, const Deployment& deployment, const Workload& workload,
                 const Engine& engine, const RangeRule& range);

/// The step with every part's time scaled by `ratio`: a measurement over the expected time at the point it was taken.
Step anchored(Step step, double ratio, const RangeRule& range);

}  // namespace kvroof
