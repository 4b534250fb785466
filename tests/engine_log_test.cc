// Engines' own logs: wordings to facts, and facts to agreeing predictions. The logs are excerpts of public ones.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "catalog/engine_log_text.h"
#include "cli/log_check.h"

namespace kvroof {
namespace {

constexpr double mib = 1 << 20, gib = 1 << 30;

std::string path_of(const std::string& name) { return std::string(KVROOF_SOURCE) + "/tests/logs/" + name; }

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
  std::string line = "Available KV cache memory: 3.5 GiB\n";
  CHECK(with_file(std::string(1 << 20, 'x') + "Available KV cache memory: 9 GiB\r\n" + line, "long.log").ranks.size() ==
        1);
  CHECK(read_engine_log("").engine == LogEngine::none);
  CHECK(read_engine_log("a GPU with 80 GiB of memory, n_ctx = 4096 tokens\n").engine == LogEngine::none);
  CHECK_THROWS_AS(read_engine_log_file("/nonexistent/x.log"), InputError);
  CHECK_THROWS_AS(read_engine_log_file("/"), InputError);
}

}  // namespace
}  // namespace kvroof
