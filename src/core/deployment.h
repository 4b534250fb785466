// How a model is laid out on devices and what it is asked to do: the two small structs beside model and device.
#pragma once

#include <optional>

#include "core/dtype.h"

namespace kvroof {

/// Which tokens a cache keeps. Quality is not modelled.
enum class EvictionKind { none, streaming, heavy_hitters };

/// StreamingLLM keeps the first `sinks` and the last `window` tokens; H2O keeps a budget per KV head
/// (half heavy hitters, half recent), as tokens or as a share of the context, and one f32 score each.
struct Eviction {
  EvictionKind kind = EvictionKind::none;
  i64 sinks = 4;
  i64 window = 0;
  i64 budget_tokens = 0;
  double budget_share = 0;
};

/// Formats of what is cached. The index of DSA is fp8 with one f32 scale per token; states default to f32.
struct CacheFormats {
  Format key = format("bf16");
  Format value = format("bf16");
  Format index = format("int8");
  Format state = format("f32");
  Format conv = format("bf16");
};

/// Ranks of one replica are tp * pp; dp replicas serve side by side. Experts are split over ep of the tp ranks.
/// With data-parallel attention the tp ranks form attention_dp groups, each with its own sequences and a whole copy of
/// the attention, split over tp / attention_dp ranks; feed-forwards and experts stay split over all of them.
struct Deployment {
  i64 tp = 1;
  i64 pp = 1;
  i64 dp = 1;
  i64 ep = 1;
  i64 attention_dp = 1;
  std::optional<Format> weights;  ///< replaces the checkpoint's format of linears and experts
  CacheFormats cache;
  Eviction eviction;
  std::optional<double> memory_fraction;  ///< gpu_memory_utilization, mem_fraction_static, free fraction
  i64 batched_tokens = 8192;              ///< tokens a scheduler step may hold (max_num_batched_tokens, n_ubatch)
  i64 max_context = 0;                    ///< longest request the engine admits; 0: the workload's context
  bool prefix_caching = false;
  i64 draft_tokens = 0;          ///< speculative tokens for which state slots are reserved
  i64 draft_layers = 0;          ///< layers of a draft head (MTP) that cache as the model's own do
  bool unified = true;           ///< llama.cpp: all sequences share one cache instead of a stream each
  bool states_given = false;     ///< `cache` says how states are stored; else the engine's rule does
  double expert_skew = 0;        ///< Zipf exponent of how unevenly tokens fall on experts; 0: evenly
  i64 sampler_sequences = 0;     ///< sequences of a profiling run (max_num_seqs); 0: the engine's default
  std::optional<Bytes> kv_room;  ///< measured quantities replace modelled ones
  std::optional<Bytes> weight_bytes;
  std::optional<Bytes> activation_bytes;
  i64 attention_tp() const { return tp / attention_dp; }
  i64 devices() const { return tp * pp * dp; }
};

struct Workload {
  i64 context = 4096;     ///< cached tokens of one sequence
  i64 batch = 1;          ///< sequences decoded together by one replica
  i64 shared_prefix = 0;  ///< leading tokens common to all sequences, stored once
  i64 query_tokens = 1;   ///< new tokens of a sequence in one step: more than one where drafts are verified
};

}  // namespace kvroof
