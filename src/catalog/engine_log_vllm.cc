// vLLM's wordings: V0 (worker.py), V1 up to 0.20 and from 0.21. Read in public logs of 0.5 to 0.26.
#include <algorithm>

#include "catalog/engine_log_text.h"

namespace kvroof {
namespace {

using Text = std::string_view;

void read_arguments(EngineLog& log, Text, Text text) {
  LogArguments& a = log.arguments;
  keep(a.model, argument(text, "model"));
  if (a.model.empty()) keep(a.model, argument(text, "model_tag"));
  keep(a.dtype, dtype_name(argument(text, "dtype")));
  keep(a.kv_dtype, argument(text, "kv_cache_dtype"));
  keep(a.quantization, argument(text, "quantization"));
  for (Text key : {"max_model_len", "max_seq_len"}) keep(a.max_context, argument(text, key));
  keep(a.tp, argument(text, "tensor_parallel_size"));
  keep(a.pp, argument(text, "pipeline_parallel_size"));
  keep(a.dp, argument(text, "data_parallel_size"));
  keep(a.batched_tokens, argument(text, "max_num_batched_tokens"));
  keep(a.max_sequences, argument(text, "max_num_seqs"));
  keep(a.block_tokens, argument(text, "block_size"));
  for (Text key : {"num_speculative_tokens", "num_spec_tokens"}) keep(a.draft_tokens, argument(text, key));
  keep_share(a.memory_fraction, argument(text, "gpu_memory_utilization"));
  keep(a.prefix_caching, argument(text, "enable_prefix_caching"));
  keep(a.expert_parallel, argument(text, "enable_expert_parallel"));
}

void architecture(EngineLog& log, Text, Text rest) {
  std::size_t begin = std::min(rest.find_first_not_of(": "), rest.size());
  keep(log.arguments.architecture, rest.substr(begin, rest.find_first_of(" ,\r", begin) - begin));
}

/// Where no arguments are printed the loader names the model: `Starting to load model /models/phi-4...`.
void loaded_model(EngineLog& log, Text, Text rest) {
  std::size_t begin = std::min(rest.find_first_not_of(' '), rest.size());
  Text name = rest.substr(begin, rest.find_first_of(" \r", begin) - begin);
  while (!name.empty() && name.back() == '.') name.remove_suffix(1);
  if (log.arguments.model.empty()) keep(log.arguments.model, name);
}

void bits_and_bytes(EngineLog& log, Text, Text) { log.arguments.quantization = "bitsandbytes"; }

void start(EngineLog& log, Text line, Text rest) {
  begin_start(log, LogEngine::vllm);
  read_arguments(log, line, rest);
}

bool measured(const EngineLog& log) { return log.tokens || log.blocks || !log.ranks.empty(); }

void engine_config(EngineLog& log, Text line, Text rest) {
  if (measured(log)) begin_start(log, LogEngine::vllm);
  log.starts = std::max(log.starts, 1);
  keep(log.version, rest.substr(0, rest.find_first_of(") ,")));
  log.first_generation = line.find("a V0 LLM") != Text::npos || line.find("an LLM engine") != Text::npos;
  read_arguments(log, line, rest);
}

void server_version(EngineLog& log, Text, Text rest) {
  if (!rest.empty() && rest[0] == ' ') rest.remove_prefix(1);
  keep(log.version, rest.substr(0, rest.find_first_of(" \t,")));
}

void total(EngineLog& log, Text, Text rest) { keep(log.total, size_at(rest)); }

void free_memory(EngineLog& log, Text line, Text rest) {
  Text slash = after(rest, "/");
  keep(log.total, size_at(slash));
  if (std::optional<Reading> free = number_at(rest)) {
    constexpr double gib = 1 << 30;
    log.free_at_start = Reading{free->value * gib, 0.005 * gib};
  }
  Text desired = after(rest, "utilization (");
  Text comma = after(desired, ",");
  keep_share(log.arguments.memory_fraction, desired);
  keep(log.requested, size_at(comma));
  if (line.find("is less than desired") != Text::npos) {
    LogFailure failure;
    failure.kind = LogFailure::Kind::not_free;
    failure.free = log.free_at_start;
    failure.wanted = size_at(comma);
    add_failure(log, failure, line);
  }
}

/// V0: `total_gpu_memory (79.15GiB) x gpu_memory_utilization (0.70) = 55.09GiB`.
void usable(EngineLog& log, Text, Text rest) {
  keep(log.total, size_at(rest));
  keep_share(log.arguments.memory_fraction, after(rest, "gpu_memory_utilization ("));
  keep_share(log.arguments.memory_fraction, argument(rest, "gpu_memory_utilization"));
  Text equals = after(after(rest, "gpu_memory_utilization ("), "=");
  keep(log.requested, size_at(equals));
}

void utilization(EngineLog& log, Text, Text rest) { keep_share(log.arguments.memory_fraction, rest); }

/// V1: `Requested memory: 0.950000 (util), 75.23 GiB`, and the worker's own `requested memory: 75.23GiB`.
void requested(EngineLog& log, Text, Text rest) {
  if (std::optional<Reading> size = size_at(rest)) {
    log.requested = size;
  } else if (rest.find("(util)") != Text::npos) {
    keep_share(log.arguments.memory_fraction, rest);
    keep(log.requested, size_at(after(rest, ",")));
  }
}

template <std::optional<Reading> LogRank::*figure>
void of_rank(EngineLog& log, Text line, Text rest) {
  keep(rank_of(log, line).*figure, size_at(rest));
}

/// V0's summary: a figure after each phrase.
void summary(EngineLog& log, Text line, Text) {
  LogRank& rank = rank_of(log, line);
  keep(rank.weights, size_at(after(line, "model weights take")));
  keep(rank.non_torch, size_at(after(line, "non_torch_memory takes")));
  keep(rank.activation, size_at(after(line, "activation peak memory takes")));
  if (std::optional<Reading> room = size_at(after(line, "reserved for KV Cache is"))) {
    rank.room = room;
    log.first_generation = true;
  }
}

/// V1's last word: a figure before each phrase.
void actual_usage(EngineLog& log, Text line, Text rest) {
  LogRank& rank = rank_of(log, line);
  keep(rank.weights, size_before(rest, " for weight"));
  keep(rank.activation, size_before(rest, " for peak activation"));
  keep(rank.non_torch, size_before(rest, " for non-torch memory"));
  keep(rank.graphs, size_before(rest, " for CUDAGraph memory"));
  keep(rank.room, size_at(after(rest, "Current kv cache memory in use is")));
}

void profile(EngineLog& log, Text line, Text rest) {
  LogRank& rank = rank_of(log, line);
  keep(rank.other_than_kv, size_at(rest));
  keep(rank.activation, size_at(after(rest, "torch peak memory increase")));
  keep(rank.non_torch, size_at(after(rest, "non-torch forward increase memory")));
  keep(rank.weights, size_at(after(rest, "weights memory")));
}

void given_room(EngineLog& log, Text line, Text) {
  keep(rank_of(log, line).room, size_before(line, " memory for KV Cache as specified"));
}

void graphs(EngineLog& log, Text line, Text rest) {
  if (std::optional<Reading> size = size_at(after(rest, "took"))) rank_of(log, line).graphs = size;
}

void blocks(EngineLog& log, Text, Text rest) { keep(log.blocks, rest); }
void tokens(EngineLog& log, Text, Text rest) { keep(log.tokens, rest); }

void concurrency(EngineLog& log, Text, Text rest) {
  std::optional<i64> context = count_at(rest);
  Text times = after(rest, "per request");
  std::optional<Reading> value = number_at(times);
  if (!context || !value) return;
  log.concurrency_context = context;
  log.concurrency = value;
}

void attention_block(EngineLog& log, Text, Text rest) { keep(log.attention_block, rest); }
void block_tokens(EngineLog& log, Text, Text rest) { keep(log.arguments.block_tokens, rest); }
void batched_tokens(EngineLog& log, Text, Text rest) {
  if (log.engine == LogEngine::vllm) keep(log.arguments.batched_tokens, rest);
}
void graphs_taken_out(EngineLog& log, Text, Text) { log.graphs_taken_out = true; }

void no_room(EngineLog& log, Text line, Text) {
  LogFailure failure;
  failure.kind = LogFailure::Kind::no_room;
  add_failure(log, failure, line);
}

/// V0 and early V1 say how many tokens fit, later ones how many bytes are missing.
void context_too_long(EngineLog& log, Text line, Text rest) {
  LogFailure failure;
  failure.kind = LogFailure::Kind::context_too_long;
  failure.context = count_at(rest);
  failure.most = count_at(after(rest, "stored in KV cache"));
  if (Text estimate = after(rest, "maximum model length is"); !estimate.empty()) failure.most = count_at(estimate);
  failure.wanted = size_before(rest, " KV cache is needed");
  failure.available = size_at(after(rest, "available KV cache memory"));
  add_failure(log, failure, line);
}

void out_of_memory(EngineLog& log, Text line, Text) { read_out_of_memory(log, line); }

void gpu(EngineLog& log, Text, Text rest) {
  std::size_t at = rest.find("NVIDIA");
  if (at > 8) return;  // or not there at all
  keep(log.device, rest.substr(at, std::min<std::size_t>(rest.find_first_of("(,", at), at + 64) - at));
}

constexpr auto vllm = LogEngine::vllm;
constexpr LogWording vllm_table[] = {
    {vllm, "non-default args:", start},
    {vllm, "LLM engine (v", engine_config},
    {vllm, "Starting to load model", loaded_model},
    {vllm, "Loading weights with BitsAndBytes", bits_and_bytes},
    {vllm, "vLLM API server version", server_version},
    {vllm, "Resolved architecture", architecture},
    {vllm, "Peak GPU memory after loading weights", of_rank<&LogRank::loading_peak>},
    {LogEngine::none, "max_num_batched_tokens=", batched_tokens},
    {LogEngine::none, "max_num_batched_tokens to ", batched_tokens},
    {vllm, "total_gpu_memory", usable},
    {vllm, "the current vLLM instance can use ", requested},
    {vllm, "gpu_memory_utilization   ", utilization},
    {LogEngine::none, "total_memory=", total},
    {vllm, "Free memory on device", free_memory},
    {vllm, "worker requested memory", requested},
    {vllm, "Requested memory", requested},
    {vllm, "Model loading took", of_rank<&LogRank::weights>},
    {vllm, "Loading model weights took", of_rank<&LogRank::weights>},
    {vllm, "model weights take", summary},
    {vllm, "PyTorch activation peak memory   ", of_rank<&LogRank::activation>},
    {vllm, "non_torch_memory   ", of_rank<&LogRank::non_torch>},
    {vllm, "available_kv_cache_memory", of_rank<&LogRank::room>},
    {vllm, "Total non KV cache memory", profile},
    {vllm, "Actual usage is", actual_usage},
    {vllm, "Available KV cache memory", of_rank<&LogRank::room>},
    {vllm, "kv_cache_size=", of_rank<&LogRank::room>},
    {vllm, " memory for KV Cache as specified", given_room},
    {vllm, "Graph capturing finished in", graphs},
    {vllm, "# GPU blocks", blocks},
    {vllm, "# cuda blocks", blocks},
    {vllm, "GPU KV cache size", tokens},
    {vllm, "Maximum concurrency for", concurrency},
    {vllm, "Setting attention block size to", attention_block},
    {vllm, "etting kv cache block size to", block_tokens},
    {vllm, "orcing kv cache block size to", block_tokens},
    {vllm, "CUDA graph memory profiling is enabled", graphs_taken_out},
    {vllm, "No available memory for the cache blocks", no_room},
    {vllm, "The model's max seq len", context_too_long},
    {vllm, "with the models's max seq len", context_too_long},
    {vllm, "with the model's max seq len", context_too_long},
    {LogEngine::none, "out of memory", out_of_memory},
    {LogEngine::none, "GPU 0:", gpu},
};

}  // namespace

std::span<const LogWording> vllm_wordings() { return vllm_table; }

}  // namespace kvroof
