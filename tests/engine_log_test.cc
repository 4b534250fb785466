// Engines' own logs: wordings to facts, and facts to agreeing predictions. The logs are excerpts of public ones.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <functional>

#include "catalog/engine_log_text.h"
#include "cli/log_check.h"

namespace kvroof {
namespace {

constexpr double mib = 1 << 20, gib = 1 << 30;

std::string path_of(const std::string& name) { return KVROOF_SOURCE "/tests/logs/" + name; }

struct Verified {
  EngineLog log;
  LogSetup setup;
  LogCheck check;

  const Comparison& row(const std::string& quantity) const {
    for (const Comparison& r : check.rows)
      if (r.quantity == quantity) return r;
    FAIL("no row " << quantity);
    return check.rows.front();
  }
};

Verified verified(const std::string& name, const std::string& model = "") {
  Verified v;
  v.log = read_engine_log_file(path_of(name));
  v.setup = setup_of(v.log, name, model, "", Catalog::built_in());
  v.check = check_log(v.log, v.setup);
  return v;
}

EngineLog with_file(const std::string& text, const std::string& name) {
  std::string path = (std::filesystem::temp_directory_path() / ("kvroof_" + name)).string();
  std::ofstream(path, std::ios::binary) << text;
  return read_engine_log_file(path);
}

TEST_CASE("numbers keep the step they were rounded to") {
  CHECK(number_at(" = 1,075,312 tokens")->value == 1075312);
  CHECK(number_at("-7.83GiB")->value == Approx(-7.83));
  CHECK(number_at("0.950000 (util)")->value == Approx(0.95));
  CHECK_FALSE(number_at("none"));
  CHECK(size_at("45.21GiB.")->value == Approx(45.21 * gib));
  CHECK(size_at("45.21GiB.")->half_step == Approx(0.005 * gib));
  CHECK(size_at("42.8 GiB")->half_step == Approx(0.005 * gib));  // trailing zeros are dropped, not precision
  CHECK(size_at("14.9888 GiB")->half_step == Approx(0.00005 * gib));
  CHECK(size_at("69620717568 bytes")->half_step == 0);
  CHECK_FALSE(size_at("45.21 tokens"));
  CHECK(size_before("is 7.51 GiB for weight, 2.01 GiB for peak activation", " for peak activation")->value ==
        Approx(2.01 * gib));
}

TEST_CASE("arguments as Python, JSON and command lines print them") {
  CHECK(argument("{'model_tag': 'a/b', 'model': 'c/d'}", "model") == "c/d");
  CHECK(argument("kv_cache_dtype=fp8, dtype=torch.bfloat16, x", "dtype") == "torch.bfloat16");
  CHECK(argument("--max-model-len 8192 --x", "max-model-len") == "8192");
  CHECK(argument("model='unclosed", "model") == "unclosed");
  CHECK(argument("max_model_len", "max_model_len").empty());
}

TEST_CASE("every rank's room counts, and the tightest binds") {
  Verified v = verified("vllm-0.19-pp2.log");
  CHECK(v.log.engine == LogEngine::vllm);
  CHECK(v.log.version == "0.19.0");
  CHECK(v.log.total->value == Approx(79.19 * gib));
  CHECK(v.setup.model.id == "llama-3.1-8b");
  CHECK(v.setup.device.id == "h100-sxm");
  CHECK(v.setup.d.pp == 2);
  REQUIRE(tightest_rank(v.log));
  CHECK(tightest_rank(v.log)->label == "PP1");
  CHECK(tightest_rank(v.log)->room->value == Approx(65.63 * gib));
  CHECK(*v.log.tokens == 1075312);
  CHECK(v.row("KV tokens").agrees());
  CHECK(v.row("concurrency").agrees());
  CHECK(v.row("weights").agrees());
  CHECK(v.check.agrees());
}

TEST_CASE("a failed start says what did not fit") {
  Verified v = verified("vllm-0.19-out-of-memory.log");
  REQUIRE(v.check.failures.size() == 1);
  const std::string& words = v.check.failures[0];
  CHECK(words.find("warming up sampler with 1024 dummy requests: 786 MiB wanted, 552.5 MiB free") != words.npos);
  CHECK(words.find("1,024 sequences x 201,088 logits in f32 are 785.5 MiB") != words.npos);
  CHECK(words.find("CUDA graphs took 1.84 GiB") != words.npos);
  CHECK(v.row("KV tokens").agrees());
  CHECK(v.row("concurrency").agrees());

  Verified longer = verified("vllm-too-long.log");
  REQUIRE(longer.check.failures.size() == 1);
  CHECK(longer.check.failures[0].find("32,768 tokens would") != std::string::npos);
  CHECK(longer.row("KV of one request").agrees());
}

TEST_CASE("generations of vLLM") {
  Verified hybrid = verified("vllm-0.21-hybrid.log");
  CHECK(hybrid.log.graphs_taken_out);
  CHECK(hybrid.row("attention block").logged.value == 528);
  CHECK(hybrid.row("KV tokens").high == 163225);
  CHECK(hybrid.check.agrees());
  Verified v0 = verified("vllm-v0.log");
  CHECK(v0.log.first_generation);
  CHECK(*v0.log.blocks == 5691);
  CHECK(v0.check.agrees());
}

TEST_CASE("pools of SGLang and blocks of TensorRT-LLM") {
  Verified sglang = verified("sglang-tp4.log");
  CHECK(sglang.setup.d.tp == 4);
  CHECK(sglang.log.caches.size() == 1);  // printed by each rank
  CHECK(sglang.row("pool, keys").agrees());
  CHECK(sglang.row("KV tokens").low <= 46611);
  CHECK(sglang.row("KV tokens").high >= 46611);
  CHECK(sglang.check.agrees());
  Verified trtllm = verified("trtllm-fp8.log", "llama-3.1-8b");
  CHECK(trtllm.log.version == "0.19.0");
  CHECK(trtllm.row("blocks' bytes").agrees());  // in fp8, which the log doesn't say
  CHECK(trtllm.check.notes.at(1).find("fp8") != std::string::npos);
  CHECK(trtllm.check.agrees());
}

TEST_CASE("cells and states of llama.cpp") {
  Verified sliding = verified("llamacpp-sliding.log");
  CHECK(sliding.setup.model.id == "gpt-oss-20b");
  CHECK(sliding.row("sliding cells").high == 768);
  CHECK(sliding.row("sliding keys").predicted() == 9 * mib);
  CHECK(sliding.row("full values").predicted() == 48 * mib);
  CHECK(sliding.check.agrees());
  Verified hybrid = verified("llamacpp-hybrid.log");
  CHECK(hybrid.row("state states").predicted() == 48 * mib);
  CHECK(hybrid.row("KV keys").predicted() == 128 * mib);
  CHECK(hybrid.check.agrees());
  Verified latent = verified("llamacpp-latent.log");
  CHECK(latent.row("KV keys").agrees());
  CHECK(latent.check.notes.back() == "MLA is cached as the latent alone");
}

TEST_CASE("the last start counts") {
  EngineLog log = read_engine_log(
      "non-default args: {'model': 'a', 'max_model_len': 1024}\nGPU KV cache size: 5 tokens\n"
      "non-default args: {'model': 'b'}\nAvailable KV cache memory: 3.5 GiB\n");
  CHECK(log.starts == 2);
  CHECK(log.arguments.model == "b");
  CHECK_FALSE(log.arguments.max_context);
  CHECK_FALSE(log.tokens);
  CHECK(tightest_rank(log)->room->value == 3.5 * gib);
}

TEST_CASE("a figure that parts is outside, with its likely cause") {
  std::string text =
      "Initializing a V1 LLM engine (v0.19.0) with config: model='meta-llama/Llama-3.1-8B', dtype=torch.bfloat16, "
      "max_seq_len=8192, tensor_parallel_size=1, kv_cache_dtype=auto\n"
      "Available KV cache memory: 58.11 GiB\nGPU KV cache size: 952,032 tokens\n";
  EngineLog log = read_engine_log(text);
  LogSetup setup = setup_of(log, "x.log", "", "", Catalog::built_in());
  LogCheck check = check_log(log, setup);
  REQUIRE(check.rows.size() == 1);
  CHECK_FALSE(check.agrees());
  CHECK(check.rows[0].cause == "would agree with an fp8 KV cache");
}

TEST_CASE("long lines are cut, other files hold no facts") {
  std::string text(1 << 20, 'x');
  text.append("Available KV cache memory: 9 GiB\r\nAvailable KV cache memory: 3.5 GiB\n");
  CHECK(with_file(text, "long.log").ranks.size() == 1);
  CHECK(read_engine_log("").engine == LogEngine::none);
  CHECK(read_engine_log("a GPU with 80 GiB of memory, n_ctx = 4096 tokens\n").engine == LogEngine::none);
  CHECK_THROWS_AS(read_engine_log_file("/nonexistent/x.log"), InputError);
  CHECK_THROWS_AS(read_engine_log_file("/"), InputError);
}

// Every wording there is a row for, in lines as the engines' versions print them. What a line says lies beside it.

struct Line {
  LogEngine engine;
  std::string_view text;
  std::function<bool(const EngineLog&)> said;
};

bool is(const std::optional<Reading>& reading, double value) {
  return reading && std::abs(reading->value - value) <= reading->half_step + 1e-6 * value;
}
bool is_share(const EngineLog& log, double share) {
  return log.arguments.memory_fraction && std::abs(*log.arguments.memory_fraction - share) < 1e-12;
}
/// The one that a line is about.
template <class T>
const T& only(const std::vector<T>& found) {
  static const T none;
  return found.empty() ? none : found.back();
}
const LogRank& rank(const EngineLog& log) { return only(log.ranks); }
const LogCache& cache(const EngineLog& log) { return only(log.caches); }

#define SAYS(...) [](const EngineLog& l) { return __VA_ARGS__; }

const Line vllm_lines[] = {
    {LogEngine::vllm, "vLLM API server version 0.10.1", SAYS(l.version == "0.10.1")},
    {LogEngine::vllm, "Resolved architecture: Qwen3ForCausalLM", SAYS(l.arguments.architecture == "Qwen3ForCausalLM")},
    {LogEngine::vllm, "Starting to load model /models/phi-4...", SAYS(l.arguments.model == "/models/phi-4")},
    {LogEngine::vllm, "Loading weights with BitsAndBytes quantization. May take a while ...",
     SAYS(l.arguments.quantization == "bitsandbytes")},
    {LogEngine::vllm, "Peak GPU memory after loading weights: 15.02 GiB", SAYS(is(rank(l).loading_peak, 15.02 * gib))},
    {LogEngine::vllm, "Chunked prefill is enabled with max_num_batched_tokens=2048.",
     SAYS(l.arguments.batched_tokens == 2048)},
    {LogEngine::vllm, "Defaulting max_num_batched_tokens to 8192.", SAYS(l.arguments.batched_tokens == 8192)},
    {LogEngine::vllm,
     "the current vLLM instance can use total_gpu_memory (79.15GiB) x gpu_memory_utilization (0.70) = 55.41GiB",
     SAYS(is(l.total, 79.15 * gib) && is_share(l, 0.7) && is(l.requested, 55.41 * gib))},
    {LogEngine::vllm, "gpu_memory_utilization    0.85", SAYS(is_share(l, 0.85))},
    {LogEngine::vllm, "MemorySnapshot(free_memory=78.1GiB, total_memory=79.19GiB)", SAYS(is(l.total, 79.19 * gib))},
    {LogEngine::vllm,
     "ValueError: Free memory on device (4.45/79.11 GiB) on startup is less than desired GPU memory utilization (0.9, "
     "71.2 GiB).",
     SAYS(is(l.total, 79.11 * gib) && is(l.free_at_start, 4.45 * gib) && l.failures.size() == 1 &&
          l.failures[0].kind == LogFailure::Kind::not_free && is(l.failures[0].wanted, 71.2 * gib))},
    {LogEngine::vllm, "Free memory on device cuda:0 (78.6/79.11 GiB) on startup.", SAYS(l.failures.empty())},
    {LogEngine::vllm, "worker requested memory: 75.23GiB", SAYS(is(l.requested, 75.23 * gib))},
    {LogEngine::vllm, "Requested memory: 0.950000 (util), 75.23 GiB",
     SAYS(is(l.requested, 75.23 * gib) && is_share(l, 0.95))},
    {LogEngine::vllm, "Model loading took 14.9888 GiB and 3.2 seconds", SAYS(is(rank(l).weights, 14.9888 * gib))},
    {LogEngine::vllm, "Loading model weights took 14.99 GB", SAYS(is(rank(l).weights, 14.99 * gib))},
    {LogEngine::vllm,
     "model weights take 15.23GiB; non_torch_memory takes 0.09GiB; PyTorch activation peak memory takes 1.22GiB; the "
     "rest of the memory reserved for KV Cache is 47.12GiB.",
     SAYS(is(rank(l).weights, 15.23 * gib) && is(rank(l).non_torch, 0.09 * gib) && is(rank(l).activation, 1.22 * gib) &&
          is(rank(l).room, 47.12 * gib) && l.first_generation)},
    {LogEngine::vllm, "PyTorch activation peak memory      1.22 GiB", SAYS(is(rank(l).activation, 1.22 * gib))},
    {LogEngine::vllm, "non_torch_memory      0.14 GiB", SAYS(is(rank(l).non_torch, 0.14 * gib))},
    {LogEngine::vllm, "available_kv_cache_memory  21.50 GiB", SAYS(is(rank(l).room, 21.5 * gib))},
    {LogEngine::vllm,
     "Total non KV cache memory: 17.66GiB; torch peak memory increase: 1.22GiB; non-torch forward increase memory: "
     "0.12GiB; weights memory: 16.32GiB.",
     SAYS(is(rank(l).other_than_kv, 17.66 * gib) && is(rank(l).activation, 1.22 * gib) &&
          is(rank(l).non_torch, 0.12 * gib) && is(rank(l).weights, 16.32 * gib))},
    {LogEngine::vllm,
     "Actual usage is 7.51 GiB for weight, 2.01 GiB for peak activation, 0.15 GiB for non-torch memory, and 0.62 GiB "
     "for CUDAGraph memory. Current kv cache memory in use is 61.20 GiB.",
     SAYS(is(rank(l).weights, 7.51 * gib) && is(rank(l).activation, 2.01 * gib) && is(rank(l).non_torch, 0.15 * gib) &&
          is(rank(l).graphs, 0.62 * gib) && is(rank(l).room, 61.2 * gib))},
    {LogEngine::vllm, "Available KV cache memory: 45.21 GiB", SAYS(is(rank(l).room, 45.21 * gib))},
    {LogEngine::vllm, "kv_cache_size=48.5GiB", SAYS(is(rank(l).room, 48.5 * gib))},
    {LogEngine::vllm, "reserved 20.00 GiB memory for KV Cache as specified by kv_cache_memory_bytes config",
     SAYS(is(rank(l).room, 20 * gib))},
    {LogEngine::vllm, "Graph capturing finished in 22 secs, took 0.61 GiB", SAYS(is(rank(l).graphs, 0.61 * gib))},
    {LogEngine::vllm, "# GPU blocks: 27,896, # CPU blocks: 2048", SAYS(l.blocks == 27896)},
    {LogEngine::vllm, "# cuda blocks: 5691, # CPU blocks: 2048", SAYS(l.blocks == 5691)},
    {LogEngine::vllm, "GPU KV cache size: 446,336 tokens", SAYS(l.tokens == 446336)},
    {LogEngine::vllm, "Maximum concurrency for 8,192 tokens per request: 54.48x",
     SAYS(l.concurrency_context == 8192 && is(l.concurrency, 54.48))},
    {LogEngine::vllm, "Maximum concurrency for 8,192 tokens", SAYS(!l.concurrency)},
    {LogEngine::vllm, "Setting attention block size to 528 tokens", SAYS(l.attention_block == 528)},
    {LogEngine::vllm, "Setting kv cache block size to 64 for FlashMLA backend.", SAYS(l.arguments.block_tokens == 64)},
    {LogEngine::vllm, "Forcing kv cache block size to 128 for CUTLASS_MLA backend.",
     SAYS(l.arguments.block_tokens == 128)},
    {LogEngine::vllm, "CUDA graph memory profiling is enabled", SAYS(l.graphs_taken_out)},
    {LogEngine::vllm, "ValueError: No available memory for the cache blocks.",
     SAYS(l.failures.size() == 1 && l.failures[0].kind == LogFailure::Kind::no_room)},
    {LogEngine::vllm,
     "ValueError: The model's max seq len (131072) is larger than the maximum number of tokens that can be stored in "
     "KV "
     "cache (35632).",
     SAYS(l.failures.size() == 1 && l.failures[0].context == 131072 && l.failures[0].most == 35632)},
    {LogEngine::vllm,
     "To serve at least one request with the models's max seq len (32768), (6.00 GiB KV cache is needed, which is "
     "larger than the available KV cache memory (4.21 GiB). Based on the available memory, the estimated maximum model "
     "length is 22976.",
     SAYS(l.failures.size() == 1 && is(l.failures[0].wanted, 6 * gib) && is(l.failures[0].available, 4.21 * gib) &&
          l.failures[0].most == 22976)},
    {LogEngine::vllm,
     "To serve at least one request with the model's max seq len (32768), (6.00 GiB KV cache is needed, which is "
     "larger "
     "than the available KV cache memory (4.21 GiB).",
     SAYS(l.failures.size() == 1 && l.failures[0].context == 32768 && !l.failures[0].most)},
    {LogEngine::vllm,
     "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 786.00 MiB. GPU 0 has a total "
     "capacity of 79.19 GiB of which 552.50 MiB is free.",
     SAYS(l.failures.size() == 1 && is(l.failures[0].wanted, 786 * mib) && is(l.failures[0].free, 552.5 * mib))},
    {LogEngine::vllm, "GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-1)", SAYS(l.device == "NVIDIA H100 80GB HBM3 ")},
    {LogEngine::vllm, "GPU 0: Tesla T4", SAYS(l.device.empty())},
};

const Line sglang_lines[] = {
    {LogEngine::sglang,
     "server_args=ServerArgs(model_path='Qwen/Qwen3-8B', dtype='auto', kv_cache_dtype='fp8_e4m3', tp_size=2, "
     "pp_size=1, dp_size=1, chunked_prefill_size=8192, page_size=64, mem_fraction_static=0.88, "
     "speculative_algorithm='EAGLE', speculative_num_draft_tokens=4)",
     SAYS(l.arguments.model == "Qwen/Qwen3-8B" && l.arguments.tp == 2 && l.arguments.page_tokens == 64 &&
          l.arguments.batched_tokens == 8192 && l.arguments.draft_tokens == 4 && is_share(l, 0.88))},
    {LogEngine::sglang,
     "server_args=ServerArgs(model_path='a', speculative_algorithm=None, speculative_num_draft_tokens=4)",
     SAYS(!l.arguments.draft_tokens)},
    {LogEngine::sglang, "Load weight begin. avail mem=78.58 GB", SAYS(is(l.free_at_start, 78.58 * gib))},
    {LogEngine::sglang,
     "Load weight end. type=LlamaForCausalLM, dtype=torch.bfloat16, avail mem=63.26 GB, mem usage=14.99 GB.",
     SAYS(is(rank(l).weights, 14.99 * gib) && is(l.free_after_load, 63.26 * gib) && l.arguments.dtype == "bfloat16")},
    {LogEngine::sglang, "Using KV cache dtype: torch.float8_e4m3fn", SAYS(l.arguments.kv_dtype == "float8_e4m3fn")},
    {LogEngine::sglang, "KV Cache is allocated. #tokens: 437710, K size: 26.72 GB, V size: 26.72 GB",
     SAYS(cache(l).tokens == 437710 && is(cache(l).key, 26.72 * gib) && is(cache(l).value, 26.72 * gib))},
    {LogEngine::sglang, "KV Cache is allocated. dtype: torch.bfloat16, #tokens: 519203, KV size: 33.99 GB",
     SAYS(cache(l).key_format == "bfloat16" && is(cache(l).total, 33.99 * gib) && !cache(l).key)},
    {LogEngine::sglang,
     "Mamba Cache is allocated. max_mamba_cache_size: 1024, conv_state size: 0.58GB, ssm_state size: 24.05GB",
     SAYS(cache(l).kind == LogCache::Kind::recurrent && cache(l).tokens == 1024 && is(cache(l).key, 0.58 * gib) &&
          is(cache(l).value, 24.05 * gib))},
    {LogEngine::sglang, "Use sliding window memory pool. full_layer_tokens=150000, swa_layer_tokens=120000",
     SAYS(l.full_tokens == 150000 && l.swa_tokens == 120000)},
    {LogEngine::sglang, "max_total_num_tokens=437710, chunked_prefill_size=8192, context_len=131072",
     SAYS(l.tokens == 437710 && l.concurrency_context == 131072)},
    {LogEngine::sglang, "RuntimeError: Not enough memory. Please try to increase --mem-fraction-static.",
     SAYS(l.failures.size() == 1 && l.failures[0].kind == LogFailure::Kind::no_room)},
};

const Line trtllm_lines[] = {
    {LogEngine::trtllm, "[TensorRT-LLM] TensorRT-LLM version: 1.0.0", SAYS(l.version == "1.0.0")},
    {LogEngine::trtllm, "[TensorRT-LLM][INFO] Engine version 0.17.0 found in the config file",
     SAYS(l.version == "0.17.0")},
    {LogEngine::trtllm,
     "[TRT-LLM] [I] LLM Args: model='a/b', tensor_parallel_size=4, pipeline_parallel_size=2, dtype='bfloat16'",
     SAYS(l.arguments.model == "a/b" && l.arguments.tp == 4 && l.arguments.pp == 2 && l.arguments.dtype == "bfloat16")},
    {LogEngine::trtllm, "KvCacheConfig(enable_block_reuse=True, free_gpu_memory_fraction=0.95)",
     SAYS(is_share(l, 0.95))},
    {LogEngine::trtllm, "--kv_cache_free_gpu_mem_fraction 0.8", SAYS(is_share(l, 0.8))},
    {LogEngine::trtllm, "[TensorRT-LLM][INFO] Loaded engine size: 15321 MiB", SAYS(is(rank(l).weights, 15321 * mib))},
    {LogEngine::trtllm,
     "[TensorRT-LLM][INFO] Memory usage when calculating max tokens in paged kv cache: total: 79.11 GiB, available: "
     "62.33 GiB",
     SAYS(is(l.total, 79.11 * gib) && is(l.free_after_load, 62.33 * gib))},
    {LogEngine::trtllm, "[TensorRT-LLM][INFO] Number of blocks in KV cache primary pool: 7016", SAYS(l.blocks == 7016)},
    {LogEngine::trtllm, "[TensorRT-LLM][INFO] primary blocks=7016, secondary blocks=0", SAYS(l.blocks == 7016)},
    {LogEngine::trtllm, "[TensorRT-LLM][INFO] Number of tokens per block: 64.", SAYS(l.arguments.block_tokens == 64)},
    {LogEngine::trtllm, "[TensorRT-LLM][INFO] tokens per block=32", SAYS(l.arguments.block_tokens == 32)},
    {LogEngine::trtllm,
     "[TensorRT-LLM][INFO] Max KV cache blocks per sequence: 128 [window size=8192], max sequence length: 8192",
     SAYS(l.arguments.max_context == 8192)},
    {LogEngine::trtllm,
     "[TensorRT-LLM][INFO] [MemUsageChange] Allocated 54.81 GiB for max tokens in paged KV cache (449024).",
     SAYS(l.tokens == 449024 && is(cache(l).total, 54.81 * gib))},
    {LogEngine::trtllm, "[TensorRT-LLM][INFO] [MemUsageChange] Allocated 1.05 GiB GPU memory for decoder.",
     SAYS(l.caches.empty())},
    {LogEngine::trtllm, "[TensorRT-LLM][INFO] Using 61120 tokens in paged KV cache.", SAYS(l.tokens == 61120)},
    {LogEngine::trtllm, "[TensorRT-LLM][INFO] Using user-specified devices", SAYS(!l.tokens)},
    {LogEngine::trtllm, "[TensorRT-LLM][INFO] Allocate 8011120640 bytes for k/v cache. ",
     SAYS(is(cache(l).total, 8011120640))},
    {LogEngine::trtllm, "[TensorRT-LLM][INFO] Allocate buffers", SAYS(l.caches.empty())},
    {LogEngine::trtllm, "Assertion failed: maxTokensInPagedKvCache must be large enough to process at least 1 sequence",
     SAYS(l.failures.size() == 1 && l.failures[0].kind == LogFailure::Kind::context_too_long)},
};

const Line llamacpp_lines[] = {
    {LogEngine::llamacpp,
     "llama_model_loader: loaded meta data with 33 key-value pairs and 292 tensors from /m/q8.gguf (version GGUF V3 "
     "(latest))",
     SAYS(l.file == "/m/q8.gguf" && l.starts == 1)},
    {LogEngine::llamacpp, "srv    load_model: loading model '/m/q4.gguf'", SAYS(l.file == "/m/q4.gguf")},
    {LogEngine::llamacpp, "llama_model_loader: - kv   2: general.name str = Qwen3 8B",
     SAYS(l.general_name == "Qwen3 8B")},
    {LogEngine::llamacpp, "build: 5166 (2db9ba14) with gcc for x86_64-linux-gnu", SAYS(l.version == "5166")},
    {LogEngine::llamacpp, "llm_load_print_meta: n_layer          = 32", SAYS(l.layers == 32)},
    {LogEngine::llamacpp, "print_info: n_layer          = 36", SAYS(l.layers == 36)},
    {LogEngine::llamacpp, "llm_load_print_meta: model params     = 8.03 B", SAYS(is(l.parameters, 8.03e9))},
    {LogEngine::llamacpp, "print_info: model params     = 494.03 M", SAYS(is(l.parameters, 494.03e6))},
    {LogEngine::llamacpp, "print_info: model params     = 1.03 T", SAYS(is(l.parameters, 1.03e12))},
    {LogEngine::llamacpp, "print_info: model params     = many", SAYS(!l.parameters)},
    {LogEngine::llamacpp, "llm_load_print_meta: model size       = 4.58 GiB (4.89 BPW)",
     SAYS(is(l.model_size, 4.58 * gib) && is(l.bits_per_weight, 4.89))},
    {LogEngine::llamacpp, "print_info: file size   = 7.95 GiB (8.50 BPW)",
     SAYS(is(l.model_size, 7.95 * gib) && is(l.bits_per_weight, 8.5))},
    {LogEngine::llamacpp, "llama_context: n_ctx         = 8192", SAYS(l.n_ctx == 8192)},
    {LogEngine::llamacpp, "llama_new_context_with_model: n_ctx      = 2048", SAYS(l.n_ctx == 2048)},
    {LogEngine::llamacpp, "llama_init_from_model: n_ubatch   = 512", SAYS(l.n_ubatch == 512)},
    {LogEngine::llamacpp, "something else: n_ubatch   = 512", SAYS(!l.n_ubatch)},
    {LogEngine::llamacpp, "llama_context: n_seq_max     = 4", SAYS(l.n_seq_max == 4)},
    {LogEngine::llamacpp, "llama_kv_cache_unified_iswa: creating     SWA KV cache, size = 1536 cells",
     SAYS(l.announced == LogCache::Kind::sliding)},
    {LogEngine::llamacpp, "llama_kv_cache_unified_iswa: creating non-SWA KV cache, size = 8192 cells",
     SAYS(l.announced == LogCache::Kind::full)},
    {LogEngine::llamacpp,
     "llama_kv_cache_unified: size = 1152.00 MiB (  8192 cells,  36 layers,  1 seqs), K (f16):  576.00 MiB, V (f16):  "
     "576.00 MiB",
     SAYS(cache(l).tokens == 8192 && cache(l).layers == 36 && is(cache(l).key, 576 * mib) &&
          cache(l).key_format == "f16")},
    {LogEngine::llamacpp,
     "llama_kv_cache: size =   18.00 MiB (   768 cells,  12 layers,  4/2 seqs), K (q8_0):    9.00 MiB, V (q8_0):    "
     "9.00 MiB",
     SAYS(cache(l).streams == 2 && cache(l).sequences == 4 && cache(l).value_format == "q8_0")},
    {LogEngine::llamacpp,
     "llama_memory_recurrent: size =   62.81 MiB (     1 cells,  52 layers,  1 seqs), R (f32):    3.94 MiB, S (f32):   "
     "58.88 MiB",
     SAYS(cache(l).kind == LogCache::Kind::recurrent && is(cache(l).value, 58.88 * mib))},
    {LogEngine::llamacpp,
     "llama_kv_cache_recurrent: size =   62.81 MiB (     1 cells,  52 layers,  1 seqs 3 rs_seq), R (f32):    3.94 MiB, "
     "S (f32):   58.88 MiB",
     SAYS(cache(l).tokens == 1 && cache(l).layers == 52 && is(cache(l).total, 62.81 * mib))},
    {LogEngine::llamacpp,
     "llama_new_context_with_model: KV self size  =  256.00 MiB, K (f16):  128.00 MiB, V (f16):  128.00 MiB",
     SAYS(cache(l).kind == LogCache::Kind::full && is(cache(l).total, 256 * mib) && is(cache(l).value, 128 * mib))},
    {LogEngine::llamacpp,
     "llama_new_context_with_model: KV self size  =   72.91 MiB, c^KV (q8_0):   72.91 MiB, kv^T: not used",
     SAYS(is(cache(l).key, 72.91 * mib) && cache(l).key_format == "q8_0" && !cache(l).value)},
    {LogEngine::llamacpp, "  Device 0: NVIDIA GeForce RTX 3090, compute capability 8.6, VMM: yes",
     SAYS(l.device == "NVIDIA GeForce RTX 3090")},
    {LogEngine::llamacpp, "llama_model_load_from_file_impl: using device CUDA0 (NVIDIA L40S) - 44000 MiB free",
     SAYS(l.device == "NVIDIA L40S")},
    {LogEngine::llamacpp, "ggml_metal_init: GPU name:   Apple M2 Max", SAYS(l.device == "Apple M2 Max")},
    {LogEngine::llamacpp,
     "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 4096.00 MiB on device 0: failed to allocate",
     SAYS(l.failures.size() == 1 && is(l.failures[0].wanted, 4096 * mib))},
    {LogEngine::llamacpp, "alloc_tensor_range: failed to allocate CUDA0 buffer of size 1073741824",
     SAYS(l.failures.size() == 1 && is(l.failures[0].wanted, gib))},
};

#undef SAYS

TEST_CASE("every wording of every engine, line by line") {
  std::string logs;
  for (std::span<const Line> lines : {std::span<const Line>(vllm_lines), std::span<const Line>(sglang_lines),
                                      std::span<const Line>(trtllm_lines), std::span<const Line>(llamacpp_lines)})
    for (const Line& line : lines) {
      INFO(line.text);
      EngineLog log;
      log.engine = line.engine;
      read_log_line(log, line.text);
      CHECK(line.said(log));
      logs.append(line.text).append("\n");
    }
  for (const auto& file : std::filesystem::directory_iterator(KVROOF_SOURCE "/tests/logs")) {
    std::ifstream in(file.path());
    logs.append(std::istreambuf_iterator<char>(in), {});
  }
  for (std::span<const LogWording> table : {vllm_wordings(), sglang_wordings(), trtllm_wordings(), llamacpp_wordings()})
    for (const LogWording& wording : table) {
      INFO(wording.mark);
      CHECK(logs.find(wording.mark) != logs.npos);
    }
}

}  // namespace
}  // namespace kvroof
