// A serving engine: how it turns memory into room for KV, how it lays the cache out, and what a step costs it.
//
// Engines are data (the `engines:` section of hardware.yaml): a layout rule by name plus its numbers, so a
// new version of an engine is a new entry. The rules were read in the engines' sources and checked on logs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/model.h"

namespace kvroof {

/// How a cache is laid out. exact: bytes as needed. paged: vLLM's blocks, one pool shared by padded groups.
/// token_pool: SGLang's slots per token. paged_up: TensorRT-LLM's blocks, rounded up. cells: llama.cpp's cells.
enum class Layout { exact, paged, token_pool, paged_up, cells };

/// What the memory fraction is a share of: all of the device, or what is free after loading weights.
enum class FractionOf { total, free_before_load, free_after_load };

/// Peak activation of a profiling run: the sampler's logits, the residual stream, and expert workspaces.
/// Devices below `large_memory` get the smaller defaults, as vLLM's arg_utils.py does.
struct ActivationRule {
  Bytes base;
  double logits_bytes = 0;          ///< per vocabulary entry and sequence of the profiled sampler batch
  double hidden_bytes = 0;          ///< per token and element of the residual stream
  double expert_bytes = 0;          ///< per token, chosen expert and element of its rows, on a rank
  double forward_hidden_bytes = 0;  ///< per token and element of the residual stream, within a layer
  double forward_width_bytes = 0;   ///< per token and element of a rank's dense feed-forward
  i64 sampler_sequences = 0;        ///< sequences in the profiled sampler batch (max_num_seqs)
  i64 small_sampler_sequences = 0;
  Bytes large_memory;
};

struct Engine {
  std::string id;
  std::string name;
  std::vector<std::string> aliases;
  std::string version;
  Layout layout = Layout::exact;
  i64 block_tokens = 1;
  double memory_fraction = 1;
  FractionOf fraction_of = FractionOf::total;
  std::string fraction_flag;  ///< what the engine calls it
  Bytes runtime;              ///< context and libraries of one rank outside weights and activations
  Bytes runtime_tp;           ///< added when ranks talk to each other (NCCL buffers)
  Bytes graphs;               ///< captured graphs, when they are taken out of the room
  Bytes small_graphs;         ///< the same on devices below activation.large_memory
  ActivationRule activation;
  bool divides_heads = false;           ///< tp must divide the KV heads or be divided by them
  bool pipelined = true;                ///< pipeline stages work on different batches at once
  bool reports_requests = false;        ///< logs tokens as concurrency * max length (vLLM from 0.21)
  double sliding_ratio = 1;             ///< SGLang: tokens of the sliding pool per token of the full pool
  double state_ratio = 0;               ///< SGLang: memory of states per memory of KV
  i64 state_slots = 0;                  ///< slots beyond the requests' own
  i64 slots_per_request = 1;            ///< SGLang: slots of states that stand behind each request it runs
  bool follows_cache_format = false;    ///< takes the KV format a checkpoint asks for by itself
  std::string since;                    ///< month its first version came out, `2026-05`
  bool full_windows = false;            ///< windowed layers keep every token
  bool unshares_kv = false;             ///< layers that share another's cache get one of their own
  i64 expert_hidden_tile = 1;           ///< mxfp4 experts are widened to tiles of the kernels: along the hidden size
  i64 expert_width_tile = 1;            ///< and along their own width
  bool keeps_rotary_tables = false;     ///< positions' tables stand whole on every rank, beside the weights
  bool pads_values = false;             ///< values are as wide as keys
  bool packs_sparse_latents = false;    ///< fp8 latents with an indexer are stored as fp8_ds_mla
  std::optional<Format> conv, state;    ///< formats states are kept in; unset: the deployment's
  std::vector<std::string> f32_states;  ///< families or ids whose config asks for f32 states instead
  bool matrix_vector = false;  ///< multiplies by matrix-vector kernels, which are bound by cores where memory is fast
  double k_quants = 1;         ///< share of other formats' bandwidth that its K-quant kernels reach
  Seconds hidden_launch;       ///< of each op's launch, what a whole-model graph hides (kernels were timed alone)
  Seconds layer;               ///< small ops of one layer: norms, rope, activation, quantisation
  Seconds layer_per_log2_tp;
  Seconds stage;               ///< handing over to the next pipeline stage, beside the device's own hop
  Seconds moe_layer;           ///< more small ops where experts are chosen: router, sorting tokens, gathering results
  Seconds step;                ///< scheduling and sampling once a step
  Seconds sequence;            ///< per sequence of the batch
  Seconds sequence_layer;      ///< per sequence of the batch and layer
  double prefill_overlap = 0;  ///< share of a prefill that does not hold up decoding
  Seconds prompt_op;           ///< per matrix and attention of a layer in a pass that reads prompts: no graph holds it
  Seconds prompt_moe_layer;    ///< more of it where experts are chosen
  bool prompts_first = false;  ///< decodes only when no prompt waits: requests of one length stay in step
  Seconds request;             ///< beside its prompt's pass, before the first token: network, tokenizer, scheduling
  double expert_compute = 1;   ///< share of the arithmetic other matrices reach that its kernels of experts reach
  std::string kv_flag;         ///< what asks it for an fp8 cache
  std::string command;         ///< how to start it; {model} {tp} {context} are filled in
  std::string log_line;        ///< the line of its log that would check a prediction
  std::string source;
};

std::vector<Problem> problems(const Engine& engine);
std::string_view name_of(Layout layout);

}  // namespace kvroof
