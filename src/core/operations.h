// The ops a forward pass runs, each its own roofline: linears, attention, collectives, head.
//
// A Pass adds up what one rank does, stage after stage: seconds by part, bytes moved and flops done, and
// beside them the least bytes and the flops that no schedule can avoid. Decoding and prefill are two ways
// of filling the same account, so a linear or a link can't be timed differently in one than in the other.
#pragma once

#include <string_view>
#include <vector>

#include "core/memory.h"

namespace kvroof {

/// One line of a step's account. Over all layers and stages; parts of a step sum to its expected time.
struct StepPart {
  std::string_view name;   ///< weights, experts, kv cache, collectives, …
  std::string_view bound;  ///< memory | compute | latency: what its largest share is
  Seconds seconds;
  Seconds memory;   ///< of these: streaming bytes
  Seconds compute;  ///< arithmetic beyond the streaming
  Seconds fixed;    ///< launches, hops and other constants
  Bytes bytes;      ///< moved per rank
  Flops flops;      ///< done per rank
};

/// Where a rank's data lies: tiers filled with its resident bytes, fastest first.
class Placement {
 public:
  Placement(const Device& device, Bytes resident);
  /// Time to stream bytes spread like the resident ones, tier after tier.
  Seconds stream(Bytes bytes, double fraction) const;
  /// The bytes placed at best, fastest tier first, and all tiers streaming at once: no schedule of them is faster.
  Seconds stream_bound(Bytes bytes) const;

 private:
  const Device& device_;
  Bytes resident_;
  std::vector<double> share_;
};

class Pass {
 public:
  /// `resident`: bytes a rank holds, weights and cache. The references must outlive the pass.
  Pass(const Model& model, const Device& device, const Deployment& deployment, const Engine& engine, Bytes resident);

  /// The matrices of a layer group over `tokens` rows; experts are read as far as the tokens touch them.
  void linears(const LayerGroup& group, double tokens);
  /// Decode attention of `batch` sequences, each with the workload's cached tokens, prefix and new tokens.
  void decode_attention(const LayerGroup& group, double batch, const Workload& workload);
  /// Causal attention of a prompt: `tokens` new ones after `cached` that are already there.
  void prefill_attention(const LayerGroup& group, double tokens, double cached);
  /// The all-reduces after a layer's mixer and feed-forward.
  void collectives(const LayerGroup& group, double tokens);
  /// The output head over `rows` rows.
  void head(double rows);
  /// What the engine and the device cost per layer, step and sequence, and the hand-over between stages.
  void overheads(double batch);

  const std::vector<StepPart>& parts();
  Seconds seconds() const;
  Bytes least_bytes() const { return least_bytes_; }
  Seconds least_compute() const { return least_compute_; }
  const Placement& placement() const { return placement_; }

 private:
  StepPart& part(std::string_view name);
  double linear_fraction(const Format& format) const;
  void add(std::string_view name, double times, Seconds launch, Bytes bytes, double fraction, Flops flops,
           Arithmetic arithmetic);
  void add_fixed(std::string_view name, Seconds seconds);
  Bytes prefix_bytes(const LayerGroup& group, i64 tokens) const;

  const Model& model_;
  const Device& device_;
  const Deployment& d_;
  const Engine& engine_;
  Placement placement_;
  double scale_;  ///< exact bytes of the checkpoint over its formats' own
  std::vector<StepPart> parts_;
  Bytes least_bytes_;
  Seconds least_compute_;
};

/// Distinct experts that `tokens` tokens touch under uniform routing: an upper estimate of what a step reads.
double distinct_experts(const MoeFeedForward& moe, double tokens);

/// Distinct experts on the busiest of `ranks` that share them evenly: what the others wait for.
double busiest_rank_experts(const MoeFeedForward& moe, double tokens, i64 ranks);

/// An all-reduce of `payload` bytes over tp ranks: latency, then the payload over the link. In the scale-up domain or,
/// beyond it, across the network.
Seconds all_reduce(const Device& device, Bytes payload, i64 tp);

/// Bytes a rank holds of the weights and of `batch` sequences.
Bytes resident_bytes(const Model& model, const Deployment& deployment, const Workload& workload);

}  // namespace kvroof
