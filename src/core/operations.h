// What one rank does in a pass, stage after stage: seconds by part, bytes moved and flops done.
//
// Every op is a roofline of its own, and their times add. A Pass adds up a schedule's ops, and beside them the least
// bytes and the flops that no schedule can avoid. Decoding and prefill are two ways of filling the same account, so a
// linear or a link can't be timed differently in one than in the other.
#pragma once

#include <span>
#include <string_view>

#include "core/schedule.h"

namespace kvroof {

/// One line of a step's account. Over all layers and stages; parts of a step sum to its expected time.
struct StepPart {
  PartKind kind = PartKind::weights;
  Seconds seconds;
  Seconds memory;   ///< of these: streaming bytes
  Seconds compute;  ///< arithmetic beyond the streaming
  Seconds fixed;    ///< launches, hops and other constants
  Bytes bytes;      ///< moved per rank
  Flops flops;      ///< done per rank

  std::string_view name() const { return name_of(kind); }
  /// memory, compute or latency: what its largest share is.
  std::string_view bound() const;
};

/// The parts that a step has; a list without memory of its own.
class StepParts {
 public:
  const StepPart* begin() const { return part_; }
  const StepPart* end() const { return part_ + count_; }
  std::size_t size() const { return std::size_t(count_); }
  const StepPart& operator[](std::size_t i) const { return part_[i]; }
  void add(const StepPart& part) { part_[count_++] = part; }
  /// All times by a factor; bytes and flops stay.
  void scale(double factor);

 private:
  StepPart part_[part_kinds];
  int count_ = 0;
};

/// Where a rank's data lies: tiers filled with its resident bytes, fastest first.
class Placement {
 public:
  Placement(const Device& device, Bytes resident);
  /// Time to stream bytes spread like the resident ones, tier after tier.
  Seconds stream(Bytes bytes) const { return {bytes.value * seconds_per_byte_}; }
  Bytes resident() const { return resident_; }

 private:
  Bytes resident_;
  double seconds_per_byte_ = 0;
};

/// The bytes placed at best and all tiers streaming at once, what a tier holds moved `moves` times: no placement and no
/// order of them is faster.
Seconds stream_bound(const Device& device, Bytes bytes, double moves);

/// Whether the groups of data-parallel attention share the rows, or one group has them all.
enum class Rows { of_all_groups, of_one_group };

class Pass {
 public:
  /// `resident`: bytes a rank holds, weights and cache. The schedule must outlive the pass.
  Pass(const Schedule& schedule, Bytes resident);

  /// All matrices over `rows` rows, the head over `head_rows`.
  void matrices(double rows, double head_rows, Rows of = Rows::of_all_groups);
  void attention(const AttentionOp& op, double batch);
  /// The all-reduces after mixers and feed-forwards.
  void collectives(double rows) { add_fixed(PartKind::collectives, schedule_.collectives(rows)); }
  /// What the engine and the device cost per layer, step and sequence, and the hand-over between stages.
  void overheads(double batch);

  /// Adds those that take time.
  void parts(StepParts& parts) const;
  Seconds seconds() const;
  const Placement& placement() const { return placement_; }
  Bytes least_bytes() const { return least_bytes_; }
  Seconds least_compute() const { return least_compute_; }

 private:
  void add(StepPart& part, Seconds launch, Bytes bytes, Bytes streamed, const Work& work, const Overlap& overlap);
  StepPart& part(PartKind kind) { return part_[int(kind)]; }
  void add_fixed(PartKind kind, Seconds seconds);

  const Schedule& schedule_;
  Placement placement_;
  Overlap overlap_;
  StepPart part_[part_kinds];
  Bytes least_bytes_;
  Seconds least_compute_;
};

/// An all-reduce of `payload` bytes over tp ranks: latency, then the payload over the link. In the scale-up domain or,
/// beyond it, across the network.
Seconds all_reduce(const Device& device, Bytes payload, i64 tp);

}  // namespace kvroof
