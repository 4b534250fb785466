// SGLang's wordings (server arguments, weights, pools) of 0.4 to 0.5.21, and TensorRT-LLM's of 0.5 to 1.2.
#include <algorithm>

#include "catalog/engine_log_text.h"

namespace kvroof {
namespace {

using Text = std::string_view;

// ---- SGLang --------------------------------------------------------------------------------------------

void server_arguments(EngineLog& log, Text, Text rest) {
  begin_start(log, LogEngine::sglang);
  LogArguments& a = log.arguments;
  keep(a.model, argument(rest, "model_path"));
  keep(a.dtype, argument(rest, "dtype"));
  keep(a.kv_dtype, argument(rest, "kv_cache_dtype"));
  keep(a.quantization, argument(rest, "quantization"));
  keep(a.max_context, argument(rest, "context_length"));
  keep(a.tp, argument(rest, "tp_size"));
  keep(a.pp, argument(rest, "pp_size"));
  keep(a.dp, argument(rest, "dp_size"));
  keep(a.batched_tokens, argument(rest, "chunked_prefill_size"));
  keep(a.page_tokens, argument(rest, "page_size"));
  std::string_view drafting = argument(rest, "speculative_algorithm");
  if (!drafting.empty() && drafting != "None") keep(a.draft_tokens, argument(rest, "speculative_num_draft_tokens"));
  keep_share(a.memory_fraction, argument(rest, "mem_fraction_static"));
}

/// The least free memory over the ranks: SGLang sizes every rank by it.
void keep_least(std::optional<Reading>& field, std::optional<Reading> value) {
  if (value && (!field || value->value < field->value)) field = value;
}

/// A draft model is loaded after the pools' owner; only the first load counts.
void load_begin(EngineLog& log, Text, Text rest) {
  if (log.caches.empty() && !log.free_after_load) keep_least(log.free_at_start, size_at(after(rest, "avail mem")));
}
void load_end(EngineLog& log, Text line, Text rest) {
  if (!log.caches.empty()) return;
  LogRank& rank = rank_of(log, line);
  if (rank.weights) return;
  rank.weights = size_at(after(rest, "mem usage"));
  keep_least(log.free_after_load, size_at(after(rest, "avail mem")));
  if (log.arguments.dtype.empty() || log.arguments.dtype == "auto")
    keep(log.arguments.dtype, dtype_name(argument(rest, "dtype")));
}

void cache_dtype(EngineLog& log, Text, Text rest) {
  if (!rest.empty() && rest[0] == ' ') rest.remove_prefix(1);
  rest = dtype_name(rest);
  if (log.caches.empty())
    log.arguments.kv_dtype = rest.substr(0, std::min<std::size_t>(rest.find_first_of(" ,\r"), 32));
}

/// Each rank prints its pools; the same pool is kept once.
void add_pool(EngineLog& log, Text line, LogCache pool) {
  std::string rank = rank_of(log, line).label;
  if (!log.ranks.empty() && rank != log.ranks.front().label) return;
  log.caches.push_back(std::move(pool));
}

void pool(EngineLog& log, Text line, Text rest) {
  LogCache cache;
  cache.tokens = count_at(after(rest, "#tokens"));
  cache.key = size_at(after(rest, "K size"));
  cache.value = size_at(after(rest, ", V size"));  // not of "KV size"
  if (!cache.key) cache.total = size_at(after(rest, "KV size"));
  cache.key_format = dtype_name(argument(rest, "dtype"));
  if (cache.key_format.empty()) {
    Text dtype = after(rest, "dtype: ");
    cache.key_format = dtype_name(dtype.substr(0, std::min<std::size_t>(dtype.find_first_of(", "), 32)));
  }
  if (cache.tokens) add_pool(log, line, std::move(cache));
}

void state_pool(EngineLog& log, Text line, Text rest) {
  LogCache cache;
  cache.kind = LogCache::Kind::recurrent;
  cache.tokens = count_at(rest);
  cache.key = size_at(after(rest, "conv_state size"));
  cache.value = size_at(after(rest, "ssm_state size"));
  add_pool(log, line, std::move(cache));
}

void sliding_pools(EngineLog& log, Text, Text rest) {
  keep(log.full_tokens, argument(rest, "full_layer_tokens"));
  keep(log.swa_tokens, argument(rest, "swa_layer_tokens"));
}

void total_tokens(EngineLog& log, Text, Text rest) {
  if (log.engine != LogEngine::sglang) return;
  keep(log.tokens, rest);
  keep(log.concurrency_context, argument(rest, "context_len"));
}

void no_memory(EngineLog& log, Text line, Text) {
  LogFailure failure;
  failure.kind = LogFailure::Kind::no_room;
  add_failure(log, failure, line);
}

// ---- TensorRT-LLM --------------------------------------------------------------------------------------

void trtllm_version(EngineLog& log, Text, Text rest) {
  if (!rest.empty() && rest[0] == ' ') rest.remove_prefix(1);
  keep(log.version, rest.substr(0, rest.find_first_of(" ,\r")));
}

void llm_arguments(EngineLog& log, Text line, Text) {
  if (log.engine != LogEngine::trtllm) return;
  LogArguments& a = log.arguments;
  keep(a.model, argument(line, "model"));
  keep(a.tp, argument(line, "tensor_parallel_size"));
  keep(a.pp, argument(line, "pipeline_parallel_size"));
  keep_share(a.memory_fraction, argument(line, "free_gpu_memory_fraction"));
  if (Text dtype = argument(line, "dtype"); dtype != "auto") keep(a.dtype, dtype_name(dtype));
}

void fraction(EngineLog& log, Text line, Text) {
  for (Text key : {"free_gpu_memory_fraction", "kv_cache_free_gpu_mem_fraction", "freeGpuMemoryFraction"})
    keep_share(log.arguments.memory_fraction, argument(line, key));
}

void engine_size(EngineLog& log, Text line, Text rest) { keep(rank_of(log, line).weights, size_at(rest)); }

void free_for_cache(EngineLog& log, Text, Text rest) {
  keep(log.total, size_at(after(rest, "total")));
  keep(log.free_after_load, size_at(after(rest, "available")));
}

void primary_blocks(EngineLog& log, Text, Text rest) {
  if (log.engine == LogEngine::trtllm) keep(log.blocks, rest);
}
void tokens_per_block(EngineLog& log, Text, Text rest) {
  if (log.engine == LogEngine::trtllm) keep(log.arguments.block_tokens, rest);
}
void sequence_blocks(EngineLog& log, Text, Text rest) {
  keep(log.arguments.max_context, after(rest, "max sequence length"));
}

/// The PyTorch backend allocates a small pool to profile with first; the last allocation is the one that serves.
void allocated(EngineLog& log, Text, Text rest) {
  Text tokens = after(rest, "in paged KV cache");
  std::optional<i64> count = tokens.empty() ? std::nullopt : count_at(tokens);
  std::optional<Reading> total = size_at(rest);
  if (!count || !total) return;
  LogCache cache;
  cache.tokens = log.tokens = count;
  cache.total = total;
  log.caches = {cache};
}

void using_tokens(EngineLog& log, Text, Text rest) {
  if (rest.find("tokens in paged KV cache") != Text::npos) keep(log.tokens, rest);
}

/// 0.8: `Allocate N bytes for k/v cache.`
void allocate_bytes(EngineLog& log, Text, Text rest) {
  if (rest.find("bytes for k/v cache") == Text::npos) return;
  LogCache cache;
  cache.total = size_at(rest);
  log.caches = {cache};
}

void too_few_tokens(EngineLog& log, Text line, Text) {
  LogFailure failure;
  failure.kind = LogFailure::Kind::context_too_long;
  add_failure(log, failure, line);
}

constexpr auto sglang = LogEngine::sglang;
constexpr LogWording sglang_table[] = {
    {sglang, "server_args=ServerArgs(", server_arguments},
    {sglang, "Load weight begin", load_begin},
    {sglang, "Load weight end", load_end},
    {sglang, "Using KV cache dtype:", cache_dtype},
    {sglang, "KV Cache is allocated.", pool},
    {sglang, "Mamba Cache is allocated. max_mamba_cache_size", state_pool},
    {sglang, "Use sliding window memory pool", sliding_pools},
    {sglang, "max_total_num_tokens=", total_tokens},
    {sglang, "Not enough memory. Please try to increase --mem-fraction-static", no_memory},
};

constexpr auto trtllm = LogEngine::trtllm;
constexpr LogWording trtllm_table[] = {
    {trtllm, "TensorRT-LLM version:", trtllm_version},
    {trtllm, "[TensorRT-LLM][INFO] Engine version", trtllm_version},
    {trtllm, "[TRT-LLM]", llm_arguments},
    {trtllm, "[TensorRT-LLM][INFO]", llm_arguments},
    {LogEngine::none, "mem_fraction", fraction},
    {LogEngine::none, "emory_fraction", fraction},
    {trtllm, "Loaded engine size:", engine_size},
    {trtllm, "Memory usage when calculating max tokens in paged kv cache:", free_for_cache},
    {trtllm, "Number of blocks in KV cache primary pool:", primary_blocks},
    {LogEngine::none, "primary blocks=", primary_blocks},
    {LogEngine::none, "Number of tokens per block:", tokens_per_block},
    {LogEngine::none, "tokens per block=", tokens_per_block},
    {trtllm, "Max KV cache blocks per sequence:", sequence_blocks},
    {trtllm, "[MemUsageChange] Allocated", allocated},
    {trtllm, "[TensorRT-LLM][INFO] Using ", using_tokens},
    {trtllm, "[TensorRT-LLM][INFO] Allocate ", allocate_bytes},
    {trtllm, "maxTokensInPagedKvCache must be large enough", too_few_tokens},
};

}  // namespace

std::span<const LogWording> sglang_wordings() { return sglang_table; }
std::span<const LogWording> trtllm_wordings() { return trtllm_table; }

}  // namespace kvroof
