// The ops one rank runs in a forward pass, with all of them worked out that neither rows nor context change.
//
// A sweep, a serving loop or a search times the same layout again and again; what they vary (sequences, cached tokens)
// only scales what stands here. The references must outlive a schedule.
#pragma once

#include <cmath>
#include <string_view>
#include <vector>

#include "core/memory.h"

namespace kvroof {

/// The parts of a step, in the order they are told.
enum class PartKind { weights, experts, kv_cache, collectives, head, layer_overhead, step_overhead, stage_hops };
inline constexpr int part_kinds = 8;
std::string_view name_of(PartKind kind);

/// Arithmetic of one op: its flops, their time at the rate reached, and at the peak.
struct Work {
  Flops flops;
  Seconds reached, least;
  Work operator*(double times) const { return {times * flops, times * reached, times * least}; }
  Work& operator+=(const Work& other) {
    flops += other.flops;
    reached += other.reached;
    least += other.least;
    return *this;
  }
};

/// A matrix times rows, over all layers of its group.
struct MatrixOp {
  PartKind part = PartKind::weights;
  Seconds launch;
  Bytes bytes;      ///< read; of one expert where there are experts
  Bytes streamed;   ///< the same over the fraction of the bandwidth that is reached
  Bytes least;      ///< that no schedule avoids
  double rows = 1;  ///< share of the replica's rows that a group of data-parallel attention passes through it
  Work per_row;
  const MoeFeedForward* experts = nullptr;
};

/// Attention of all layers of a group over the tokens that their sequences have cached.
struct AttentionOp {
  double layers = 0;
  Seconds launch;
  AttentionRate rate;
  double tiles = 0;  ///< pieces of work of one sequence and layer
  i64 attended = 0;  ///< cached tokens that a query works on
  Bytes bytes;       ///< of one sequence
  Bytes common;      ///< of them what all sequences can share at best
  Work per_sequence;
  std::optional<Overlap> overlap;  ///< where not the device's
};

class Schedule {
 public:
  Schedule(const Model& model, const Device& device, const Deployment& deployment, const Engine& engine);

  /// Matrices that all rows pass and that are read whole, and the sum of them.
  const std::vector<MatrixOp>& dense() const { return dense_; }
  const MatrixOp& all_dense() const { return all_dense_; }
  /// Experts, read as far as the rows touch them.
  const std::vector<MatrixOp>& experts() const { return experts_; }
  /// The head and what goes with it: a prompt passes one row through it, not all.
  const std::vector<MatrixOp>& heads() const { return heads_; }
  /// Bytes of all of them that no schedule avoids.
  Bytes least_weights() const { return least_weights_; }
  /// Decoding with the workload's cached tokens, shared prefix and new tokens a sequence.
  AttentionOp decode(const LayerGroup& group, const Workload& workload) const;
  /// A prompt's `tokens` new tokens after `cached` that are there: one sequence.
  AttentionOp prefill(const LayerGroup& group, double tokens, double cached) const;
  /// All-reduces of all layers over `tokens` rows.
  Seconds collectives(double tokens) const;
  /// The share of the bandwidth a matrix in that format reaches: the device's, unless the engine's kernels reach less.
  double linear_fraction(const Format& format) const { return fraction(format, linear_rate(format).fraction); }
  /// The same of experts: one grouped kernel reads them back to back, so they stream no worse than large matrices in 16
  /// bits do. What a format's own kernels reach was timed on single matrices, few of them large once they are narrow.
  double expert_fraction(const Format& format) const;
  Seconds layer_overhead() const { return layer_overhead_; }
  /// What a pass that reads prompts costs beside its kernels.
  Seconds prompt_overhead() const { return prompt_overhead_; }
  Seconds step_overhead(double batch) const { return step_overhead_ + sequences(batch) * sequence_overhead_; }
  /// Those of `batch` sequences that the fullest group of data-parallel attention has: the others wait for it.
  double sequences(double batch) const {
    return d_.attention_dp == 1 ? batch : std::ceil(batch / double(d_.attention_dp));
  }
  /// Experts that `rows` rows touch, times the share of each a rank holds, on the rank that has most of them.
  double experts_read(const MoeFeedForward& moe, double rows) const;
  Seconds stage_hops() const { return stage_hops_; }
  /// Bytes a rank of the first stage holds: weights, what one sequence adds, and what all of them share.
  Bytes resident_weights() const { return resident_weights_; }
  Bytes resident_sequence(const Workload& workload) const;
  Bytes resident_shared(const Workload& workload) const;

  double attention_groups() const { return double(d_.attention_dp); }
  /// How often a step can move one resident byte, and on how many stages: states are read and written, a cache is read
  /// by every layer that shares it.
  double most_moves() const { return most_moves_; }

  const Model& model() const { return model_; }
  const Device& device() const { return device_; }
  const Engine& engine() const { return engine_; }

 private:
  template <class Kept>
  Bytes resident(Kept kept) const;
  void add_linears(const LayerGroup& group);
  void add_experts(const MoeFeedForward& moe, MatrixOp one);
  void add_head();
  void sum_up();
  MatrixOp matrix(PartKind part, double layers, Seconds launch, Bytes bytes, Flops per_row, const Format& format) const;
  MatrixOp expert_matrix(double layers, Seconds launch, Bytes bytes, Flops per_row, const Format& format) const;
  const LinearRate& linear_rate(const Format& f) const { return device_.achievable.linear_rate(f.arithmetic); }
  double fraction(const Format& format, double of_memory) const;
  Work work(Flops flops, Arithmetic arithmetic) const;
  double group_of(const Attention& attention) const;
  const CoreCost* core_cost(const Attention& attention) const;
  Seconds core_time(const CoreCost& cost, const Attention& attention, i64 kept, i64 query_tokens) const;

  const Model& model_;
  const Device& device_;
  const Deployment d_;
  const Engine& engine_;
  double scale_;  ///< exact bytes of the checkpoint over its formats' own
  std::vector<MatrixOp> dense_, experts_, heads_;
  MatrixOp all_dense_;
  Bytes least_weights_;
  double most_moves_ = 1;
  double mixers_ = 0, feed_forwards_ = 0;  ///< layers that end in an all-reduce
  Seconds reduce_mixer_, reduce_mixer_row_, reduce_, reduce_row_;
  Seconds layer_overhead_, step_overhead_, sequence_overhead_, stage_hops_, prompt_overhead_;
  Bytes resident_weights_;
};

}  // namespace kvroof
