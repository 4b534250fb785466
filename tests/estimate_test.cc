// What `estimate` says of a load, a draft, experts and a shared prefix: columns, members and whole messages.
#include <sstream>

#include "program.h"

namespace {

using namespace kvroof::program;

std::vector<std::vector<std::string>> csv_of(const std::string& arguments) {
  std::vector<std::vector<std::string>> rows;
  std::istringstream lines(run(arguments + " --format csv").out);
  for (std::string line; std::getline(lines, line);) {
    rows.emplace_back();
    std::istringstream fields(line + ",");
    for (std::string field; std::getline(fields, field, ',');) rows.back().push_back(field);
  }
  return rows;
}

const std::string two_batches = "estimate qwen3-32b h100-sxm --tp 2 --context 2048 --batch 1,8";
const std::vector<std::string> plain_columns = {"model",
                                                "hardware",
                                                "engine",
                                                "tp",
                                                "pp",
                                                "dp",
                                                "context",
                                                "batch",
                                                "floor_seconds",
                                                "expected_seconds",
                                                "low_seconds",
                                                "high_seconds",
                                                "tokens_per_second_per_user",
                                                "tokens_per_second",
                                                "bound_by",
                                                "basis",
                                                "max_sequences",
                                                "kv_room_bytes",
                                                "dollars_per_million_tokens",
                                                "joules_per_token"};

TEST_CASE("csv without a load or a draft has the columns it always had") {
  auto rows = csv_of(two_batches);
  REQUIRE(rows.size() == 3);
  CHECK(rows[0] == plain_columns);
  CHECK(rows[2].size() == plain_columns.size());
}

TEST_CASE("csv: a draft's and a load's columns come after the others, and say what the JSON says") {
  const std::string all = two_batches + " --input 1k --output 128 --concurrency 16 --draft qwen3-0.6b";
  auto rows = csv_of(all);
  auto bare = csv_of(two_batches);
  nlohmann::json json = json_of(all);
  REQUIRE(rows.size() == 3);
  std::vector<std::string> added(rows[0].begin() + long(plain_columns.size()), rows[0].end());
  CHECK(added == std::vector<std::string>{"draft_step_seconds",
                                          "draft_verify_seconds",
                                          "draft_tokens_per_cycle",
                                          "draft_expected_seconds",
                                          "draft_floor_seconds",
                                          "draft_low_seconds",
                                          "draft_high_seconds",
                                          "draft_tokens_per_second",
                                          "draft_gain",
                                          "tpot_seconds",
                                          "load_tokens_per_second",
                                          "ttft_seconds",
                                          "prefill_seconds",
                                          "ttft_low_seconds",
                                          "ttft_high_seconds",
                                          "tpot_low_seconds",
                                          "tpot_high_seconds",
                                          "requests_per_second",
                                          "running",
                                          "decoding",
                                          "load_dollars_per_million_tokens",
                                          "load_joules_per_token"});
  for (std::size_t r : {1, 2}) {
    REQUIRE(rows[r].size() == rows[0].size());
    for (std::size_t c = 0; c < plain_columns.size() - 4; ++c) CHECK(rows[r][c] == bare[r][c]);
    for (std::size_t c = plain_columns.size(); c < rows[0].size(); ++c) {
      std::string key = rows[0][c];
      const nlohmann::json& from = key.rfind("draft_", 0) == 0 ? json["speculation"][r - 1] : json["serving"];
      if (!from.contains(key)) key = key.substr(key.find('_') + 1);
      INFO(key);
      CHECK(std::stod(rows[r][c]) == Approx(from[key].get<double>()).epsilon(1e-8));
    }
  }
}

TEST_CASE("csv: a load that can't be kept up with leaves its columns empty") {
  auto rows = csv_of(two_batches + " --input 1k --output 128 --rate 4000/s");
  REQUIRE(rows.size() == 3);
  CHECK(rows[0].back() == "load_joules_per_token");
  CHECK(rows[1].back().empty());
}

TEST_CASE("--expert-skew: 0 is as before, an exponent or a measurement, in JSON, notes and --explain") {
  const std::string moe = "estimate gpt-oss-120b h200-sxm --tp 2 --context 4k --batch 16";
  nlohmann::json plain = json_of(moe + " --explain"), even = json_of(moe + " --explain --expert-skew 0");
  CHECK(plain == even);
  CHECK(plain["deployment"]["expert_skew"] == 0);
  // 128 experts, 4 a token, 16 tokens: 128 (1 - (31/32)^16) = 50.9.
  CHECK(plain["explain"]["experts"]["value"] == Approx(128 * (1 - std::pow(31.0 / 32, 16))));
  nlohmann::json seen = json_of(moe + " --explain --expert-skew distinct=40@tokens=16");
  CHECK(seen["explain"]["experts"]["value"] == Approx(40));
  double skew = seen["deployment"]["expert_skew"];
  CHECK(skew > 0);
  nlohmann::json same = json_of(moe + " --explain --expert-skew " + std::to_string(skew));
  CHECK(same["explain"]["experts"]["value"] == Approx(40).epsilon(1e-3));
  CHECK(json_of(moe + " --explain --expert-skew 0.5").dump().find("is chosen like i^-0.5") != std::string::npos);
  auto expected = [](const nlohmann::json& j) { return j["points"][0]["step"]["expected_seconds"].get<double>(); };
  CHECK(expected(seen) < expected(plain));
  CHECK(run(moe + " --expert-skew 1").out.find("experts with skew 1: 16 tokens touch ") != std::string::npos);
}

TEST_CASE("--expert-skew and --shared-prefix: bad input is one clear message") {
  struct {
    const char* arguments;
    const char* message;
  } rows[] = {
      {"estimate gpt-oss-120b h200-sxm --expert-skew 11", "kvroof: --expert-skew: must lie in [0, 10]\n"},
      {"estimate gpt-oss-120b h200-sxm --expert-skew much",
       "kvroof: --expert-skew: 'much' is not an exponent such as 0.8, nor distinct=40@tokens=16\n"},
      {"estimate gpt-oss-120b h200-sxm --expert-skew distinct=60@tokens=16",
       "kvroof: --expert-skew: 16 tokens touch 5.089 to 50.98 of the 128 experts of gpt-oss-120b, not 60\n"},
      {"estimate llama-3.1-8b h100-sxm --expert-skew 1",
       "kvroof: --expert-skew: llama-3.1-8b has no experts for tokens to fall on\n"},
      {"estimate llama-3.1-8b h100-sxm --input 1k --output 128 --shared-prefix 1025",
       "kvroof: --shared-prefix: is 1025, more than the prompt of 1024 tokens (--input)\n"
       "  the tokens that all requests have in common are the first ones of a prompt\n"},
      {"plan llama-3.1-8b --users 8 --input 1k --output 128 --shared-prefix 2k",
       "kvroof: --shared-prefix: is 2048, more than the prompt of 1024 tokens (--input)\n"
       "  the tokens that all requests have in common are the first ones of a prompt\n"},
  };
  for (const auto& row : rows) {
    Run r = run(row.arguments);
    INFO(row.arguments);
    CHECK(r.exit_code == 2);
    CHECK(r.out == row.message);
  }
}

TEST_CASE("--shared-prefix under a load: held once, read once; what is said of it") {
  const std::string load = "estimate llama-3.1-8b h100-sxm --input 16k --output 256 --concurrency 64";
  nlohmann::json plain = json_of(load), shared = json_of(load + " --shared-prefix 15k");
  CHECK(plain["memory"]["kv_bytes_shared"] == 0);
  CHECK(shared["memory"]["kv_bytes_shared"] == 15 * 1024 * 131072.0);
  CHECK(shared["serving"]["cached_tokens"] == 15 * 1024);
  CHECK(shared["serving"]["capacity_sequences"] > plain["serving"]["capacity_sequences"]);
  CHECK(shared["serving"]["first_prefill_seconds"] == plain["serving"]["prefill_seconds"]);
  CHECK(shared["serving"]["ttft_seconds"] < plain["serving"]["ttft_seconds"]);
  nlohmann::json both = json_of(load + " --shared-prefix 8k --cache-hit 75%");
  CHECK(both["serving"]["cached_tokens"] == 12 * 1024);
  CHECK(run("estimate llama-3.1-8b h100-sxm --context 4k --shared-prefix 4k --batch 4")
            .out.find("any number: all is shared") != std::string::npos);
  std::string page = run(load + " --shared-prefix 15k").out;
  CHECK(page.find("(held once, beside the sequences)") != std::string::npos);
  CHECK(page.find("the shared prefix is held once but read for each sequence") != std::string::npos);
  CHECK(run(load + " --shared-prefix 15k --engine llamacpp")
            .out.find("llamacpp stores and reads the shared prefix for each sequence") != std::string::npos);
}

}  // namespace
