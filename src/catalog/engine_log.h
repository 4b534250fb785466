// What a serving engine says about its memory in its own log: names, arguments, and the figures it measured.
//
// Engines print no format, they print prose, so a fact is the text around a number: one row of a table per
// wording (engine_log.cc and a file per engine). A number keeps the step it was rounded to, because a prediction
// can only be compared with "42.8 GiB" as 42.795 to 42.805. Reading is total: any bytes are a log, mostly an empty
// one. Where a start is logged twice the later one counts; figures that each rank prints are kept by rank.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/quantity.h"

namespace kvroof {

enum class LogEngine { none, vllm, sglang, trtllm, llamacpp };

/// A printed number: its value, and half of the step it was rounded to.
struct Reading {
  double value = 0;
  double half_step = 0;
  double low() const { return value - half_step; }
  double high() const { return value + half_step; }
};

/// What the engine was told, as far as the log repeats it.
struct LogArguments {
  std::string model, architecture, dtype, kv_dtype, quantization;
  std::optional<i64> max_context, tp, pp, dp, batched_tokens, block_tokens, max_sequences, draft_tokens, page_tokens;
  std::optional<double> memory_fraction;
  std::optional<bool> prefix_caching, expert_parallel;
};

/// Figures of one rank, in bytes. `stage` is its pipeline rank where the log says it.
struct LogRank {
  std::string label;
  std::optional<i64> stage;
  std::optional<Reading> loading_peak;  ///< before the engine repacked its weights
  std::optional<Reading> weights, activation, non_torch, graphs, other_than_kv, room;
};

/// One allocated cache: a pool (SGLang), a cache of cells (llama.cpp), all blocks (TensorRT-LLM).
struct LogCache {
  enum class Kind { unknown, full, sliding, recurrent } kind = Kind::unknown;
  std::optional<i64> tokens;  ///< slots, cells of one stream, tokens
  i64 streams = 1;            ///< llama.cpp: caches of that many cells
  i64 snapshots = 0;          ///< llama.cpp: copies of a state kept to roll back
  std::optional<i64> layers;  ///< as printed; llama.cpp counts all layers for states
  std::optional<i64> sequences;
  std::optional<i64> context, ubatch;  ///< llama.cpp: of the context that owns it
  std::string key_format, value_format;
  std::optional<Reading> key, value, total;  ///< for states: conv and state
};

/// One thing that went wrong, with the numbers its line gives.
struct LogFailure {
  enum class Kind { out_of_memory, no_room, context_too_long, not_free, other } kind = Kind::other;
  std::string during;                              ///< what the engine was doing, where it says
  std::optional<Reading> wanted, free, available;  ///< bytes
  std::optional<i64> context, most;                ///< tokens asked for and possible
  std::string line;                                ///< as logged, cut short
};

struct EngineLog {
  LogEngine engine = LogEngine::none;
  std::string version;
  bool first_generation = false;  ///< vLLM V0: one pool, every layer at full context
  int starts = 0;                 ///< how often an engine was started in this log
  LogArguments arguments;

  std::string device;                           ///< as the log names it
  std::optional<Reading> total, free_at_start;  ///< memory of one device
  std::optional<Reading> free_after_load, requested;
  std::vector<LogRank> ranks;
  bool graphs_taken_out = false;  ///< vLLM from 0.21: CUDA graphs leave the room before it is measured

  std::optional<i64> blocks, tokens, attention_block;
  std::optional<Reading> concurrency;
  std::optional<i64> concurrency_context;
  std::optional<i64> swa_tokens, full_tokens;  ///< SGLang: tokens of the two pools

  // llama.cpp
  std::optional<i64> n_ctx, n_ubatch, n_seq_max, layers;
  std::optional<Reading> parameters, bits_per_weight, model_size;
  std::string general_name, file;
  LogCache::Kind announced = LogCache::Kind::unknown;  ///< which cache the next size line is about

  std::vector<LogCache> caches;
  std::vector<LogFailure> failures;
};

std::string_view name_of(LogEngine engine);

/// Takes in one line, without its end.
void read_log_line(EngineLog& log, std::string_view line);

EngineLog read_engine_log(std::string_view text);

/// Reads a file of any length in bounded memory: lines are cut at 64 KiB. Throws InputError when it can't be read.
EngineLog read_engine_log_file(const std::string& path);

/// The rank that leaves least room for KV; null when no rank's room is logged.
const LogRank* tightest_rank(const EngineLog& log);

}  // namespace kvroof
