// What fits: usable memory − weights − runtime − activations = room for KV, on the tightest rank.
//
// Every rank is computed and the one that holds the fewest sequences is reported, because engines size all
// ranks by their minimum (with a head on the last pipeline stage, that stage binds). Bytes are per rank.
#pragma once

#include <string>
#include <vector>

#include "core/allocation.h"
#include "core/cache_type.h"
#include "core/hardware.h"
#include "core/parameters.h"

namespace kvroof {

struct Memory {
  i64 stage = 0;   ///< the pipeline stage reported: the tightest
  Bytes usable;    ///< all tiers of one device
  Bytes reserved;  ///< kept back by the memory fraction
  Bytes weights;
  Bytes runtime;
  Bytes activation;
  Bytes kv_room;          ///< never negative; see shortfall
  Bytes shortfall;        ///< the most a stage misses for its weights and the sequences asked for; 0 when it fits
  Bytes kv_per_sequence;  ///< allocated, beyond a prefix common to all
  i64 max_sequences = 0;  ///< of the workload's context, over the whole replica
  i64 max_tokens = 0;
  bool fits = false;  ///< the workload's batch fits
  Allocation allocation;
};

/// Bytes of the weights one rank of the stage holds. Norms, biases and embeddings keep the checkpoint's
/// 16-bit format; `weights` of the deployment replaces linears and experts.
Bytes rank_weights(const Model& model, const Deployment& deployment, i64 stage, Stages stages = Stages::spread);
/// What an engine has loaded on a rank: the weights, padded as its kernels want them, and its rotary tables.
Bytes loaded_weights(const Model& model, const Deployment& deployment, const Engine& engine, i64 stage);
/// Exact bytes of the checkpoint over those of its shapes and formats: a file mixes formats ("Q4_K_M").
/// 1 where no file was read or `--weights` replaces the formats.
double checkpoint_scale(const Model& model, const Deployment& deployment);
/// Bytes of all weights of the model in the deployment's formats.
Bytes all_weights(const Model& model, const Deployment& deployment);
/// The format a matrix of that role is stored in.
const Format& format_of(const Model& model, const Deployment& deployment, WeightRole role);
/// The format of embeddings and head: the checkpoint's, or q6_k where `--weights` asks for a smaller ggml format,
/// as llama.cpp's quantisation does.
const Format& embedding_format(const Model& model, const Deployment& deployment);
/// Share of a matrix that one rank of tensor parallelism holds.
double split_share(Split split, const Attention& attention, const Deployment& deployment);

/// The ranks of one layout, one for each stage: what neither context nor batch changes is worked out once. The
/// references must outlive it.
class Ranks {
 public:
  Ranks(const Model& model, const Device& device, const Deployment& deployment, const Engine& engine);
  /// Memory of the tightest one.
  Memory fit(const Workload& workload) const;

 private:
  struct Rank {
    Memory memory;  ///< without an allocation
    Bytes room;     ///< below 0 where not even the weights fit
    std::vector<CacheType> types;
  };
  Rank rank(i64 stage) const;
  Memory fit(const Rank& rank, const Workload& workload) const;

  const Model& model_;
  const Device& device_;
  const Deployment& d_;
  const Engine& engine_;
  std::vector<Rank> ranks_;
};

/// Memory of the tightest rank. The model, device and deployment have no problems.
Memory fit(const Model& model, const Device& device, const Deployment& deployment, const Workload& workload,
           const Engine& engine);

/// What is wrong with laying this model out so on this device with this engine.
std::vector<Problem> problems(const Model& model, const Device& device, const Deployment& deployment,
                              const Engine& engine);
/// What is wrong with asking a layout for that.
std::vector<Problem> problems(const Model& model, const Deployment& deployment, const Workload& workload);
/// Both.
std::vector<Problem> problems(const Model& model, const Device& device, const Deployment& deployment,
                              const Workload& workload, const Engine& engine);

}  // namespace kvroof
