// The program as a user meets it: whole messages, exit codes, and the README's console blocks.
#include <sys/wait.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

namespace {

struct Run {
  int exit_code = -1;
  std::string out;  ///< stdout and stderr
};

/// Runs a shell command line with `kvroof` standing for the binary under test.
Run run(const std::string& arguments) {
  std::string command = "COLUMNS=80 NO_COLOR=1 " KVROOF_BINARY " " + arguments + " 2>&1";
  FILE* pipe = popen(command.c_str(), "r");
  REQUIRE(pipe);
  Run result;
  char buffer[4096];
  while (std::size_t n = fread(buffer, 1, sizeof buffer, pipe)) result.out.append(buffer, n);
  int status = pclose(pipe);
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

nlohmann::json json_of(const std::string& arguments, int exit_code = 0) {
  Run r = run(arguments + " --json");
  INFO(r.out);
  REQUIRE(r.exit_code == exit_code);
  return nlohmann::json::parse(r.out);
}

std::string temporary(const std::string& name, const std::string& text) {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("kvroof_" + std::to_string(getpid()) + "_" + name);
  std::ofstream(path, std::ios::binary) << text;
  return path.string();
}

TEST_CASE("bad input is one clear message and exit 2") {
  struct {
    const char* arguments;
    const char* message;
  } rows[] = {
      {"kv llama-3.1-8bb",
       "kvroof: unknown model 'llama-3.1-8bb'; did you mean 'llama-3.1-8b'?\n"
       "  'kvroof models' lists all of them; a config.json, .gguf or .safetensors file is a model too\n"},
      {"estimate llama-3.1-8b h10-sxm",
       "kvroof: unknown device 'h10-sxm'; did you mean 'h100-sxm'?\n  'kvroof hardware' lists all of them\n"},
      {"estimate llama-3.1-8b h100-sxm --engine vlm",
       "kvroof: unknown engine 'vlm'; did you mean 'vllm'?\n  'kvroof engines' lists all of them\n"},
      {"estimate llama-3.1-8b h100-sxm --context 0",
       "kvroof: --context: '0' is out of range; expected 1 to 1099511627776\n"},
      {"estimate llama-3.1-8b h100-sxm --context -5",
       "kvroof: --context: '-5' is not a whole number such as 4096, 32k or 1M\n"},
      {"estimate llama-3.1-8b h100-sxm --batch nan",
       "kvroof: --batch: 'nan' is not a whole number such as 4096, 32k or 1M\n"},
      {"estimate llama-3.1-8b h100-sxm --batch 99999999999999999999",
       "kvroof: --batch: '99999999999999999999' is out of range; expected 1 to 1099511627776\n"},
      {"estimate llama-2-70b h100-sxm --tp 3",
       "kvroof: --tp: 3 does not divide the 64 query heads of llama-2-70b\n  use a divisor of 64\n"},
      {"estimate llama-2-70b a100-sxm-80 --pp 300", "kvroof: --pp: 300 is more than the 80 layers of llama-2-70b\n"},
      {"estimate llama-3.1-8b h100-sxm --hardware-override bandwidth=80GiB",
       "kvroof: --hardware-override bandwidth: '80GiB' is a size; expected a bandwidth such as 3.35TB/s\n"},
      {"estimate llama-3.1-8b h100-sxm --usable-memory 70",
       "kvroof: --usable-memory: '70' has no unit; expected a size such as 80GiB\n"},
      {"kv llama-3.1-8b --kv-heads 7", "kvroof: --kv-heads: 7 does not divide the 32 query heads of llama-3.1-8b\n"},
      {"kv llama-3.1-8b --attention gga", "kvroof: --attention: 'gga' is not mha, mqa or gqa-g such as gqa-8\n"},
      {"estimate llama-3.1-8b h100-sxm --contxt 8k", "kvroof: unknown option '--contxt'; did you mean '--context'?\n"},
      {"estimat", "kvroof: unknown command 'estimat'; did you mean 'estimate'?\n"},
      {"kv llama-3.1-8b --catalog /", "kvroof: /: is a directory, expected a YAML file\n"},
      {"kv llama-3.1-8b --catalog nosuch.yaml", "kvroof: nosuch.yaml: can't be opened\n"},
      {"estimate llama-3.1-8b nosuch.yaml", "kvroof: nosuch.yaml: can't be opened\n"},
      {"measure --shapes group=8,dim=100",
       "kvroof: --shapes: dim: '100' is not a multiple of 32 up to 1024; value_dim: '100' is not a multiple of 32 up "
       "to "
       "1024\n  such as kv_heads=8,group=8,dim=128,context=32k,dtype=bf16; also value_dim, mla=HEADS, "
       "pages=in-order|random, from=cache\n"},
      {"measure --shapes group=8,pages=upside-down",
       "kvroof: --shapes: 'pages=upside-down' is not known\n"
       "  such as kv_heads=8,group=8,dim=128,context=32k,dtype=bf16; also value_dim, mla=HEADS, pages=in-order|random, "
       "from=cache\n"},
      {"measure --shapes context=-1", "kvroof: --shapes context: '-1' is not a whole number such as 4096, 32k or 1M\n"},
      {"measure --save cpu.txt", "kvroof: --save: 'cpu.txt' should end in .yaml, so that it is read as a device\n"},
  };
  for (const auto& row : rows) {
    Run r = run(row.arguments);
    INFO(row.arguments);
    CHECK(r.out == row.message);
    CHECK(r.exit_code == 2);
  }
}

TEST_CASE("a catalogue file's problems come all at once, each at its place") {
  std::string file = temporary("bad.yaml",
                               "models:\n"
                               "  mine:\n"
                               "    name: Mine\n"
                               "    family: llama\n"
                               "    hidden: 4096\n"
                               "    vocab: -5\n"
                               "    layers:\n"
                               "      - count: 32\n"
                               "        attention: {kind: full, q_heads: 32, kv_heads: 8, kv_head: 8, head_dim: 128}\n"
                               "        feed_forward: {kind: gated, width: 14336}\n"
                               "    source: me\n"
                               "    confidence: E\n");
  Run r = run("kv mine --catalog " + file);
  CHECK(r.exit_code == 2);
  CHECK(r.out == "kvroof: " + file +
                     ":6:12: expected a whole number, got '-5'\n"
                     "  6 |     vocab: -5\n"
                     "    |            ^\n" +
                     file +
                     ":9:59: unknown key 'kv_head' in attention kind 'full'\n"
                     "  9 |         attention: {kind: full, q_heads: 32, kv_heads: 8, kv_head: 8, head_dim: 128}\n"
                     "    |                                                           ^\n"
                     "  did you mean 'kv_heads'?\n" +
                     file +
                     ":12:17: unknown value 'E'\n"
                     "  12 |     confidence: E\n"
                     "     |                 ^\n"
                     "  expected one of A, B, C, D\n");
}

TEST_CASE("files that are no catalogue") {
  CHECK(run("models --catalog " + temporary("empty.yaml", "")).out.find(": is empty\n") != std::string::npos);
  CHECK(run("models --catalog " + temporary("binary.yaml", std::string("\x7f"
                                                                       "ELF\0\1\2",
                                                                       7)))
            .out.find(": is not text (it holds a zero byte)\n") != std::string::npos);
  Run r = run("models --catalog " + temporary("other.yaml", "modells:\n  a:\n    name: b\n"));
  CHECK(r.exit_code == 2);
  CHECK(r.out.find(":1:1: expected a section: models, devices, classes, engines or ranges\n") != std::string::npos);
  CHECK(r.out.find("did you mean 'models'?") != std::string::npos);
  std::string unit = temporary("unit.yaml",
                               "devices:\n  d:\n    name: D\n    vendor: V\n    class: gpu\n    memory:\n      - "
                               "{kind: HBM, capacity: 80 GiB, bandwidth: 80 GiB}\n    source: s\n    confidence: A\n");
  CHECK(run("hardware d --catalog " + unit).out ==
        "kvroof: " + unit +
            ":7:50: '80 GiB' is a size; expected a bandwidth such as 3.35TB/s\n"
            "  7 |       - {kind: HBM, capacity: 80 GiB, bandwidth: 80 GiB}\n"
            "    |                                                  ^\n");
}

TEST_CASE("not fitting is an answer: exit 1, the shortfall, and what would fit") {
  nlohmann::json j = json_of("estimate llama-3.1-405b h100-sxm --context 128k", 1);
  CHECK(j["fits"] == false);
  CHECK(j["memory"]["shortfall_bytes"].get<double>() / (1 << 30) == Approx(750).margin(15));
  CHECK(j["what_would_fit"].size() >= 1);
  Run r = run("estimate llama-2-70b a100-sxm-80 --context 4k");
  CHECK(r.exit_code == 1);
  CHECK(r.out.find("GiB short on each device") != std::string::npos);
  CHECK(r.out.find("--weights awq") != std::string::npos);
}

TEST_CASE("the JSON keys are API") {
  nlohmann::json kv = json_of("kv llama-3.1-8b --context 128k");
  for (const char* key : {"schema_version", "parameters", "kv_bytes_per_token", "kv_bytes_per_token_within_windows",
                          "state_bytes_per_sequence", "at", "layer_groups", "as", "formats"}) {
    INFO(key);
    CHECK(kv.contains(key));
  }
  CHECK(kv["parameters"]["total"] == 8030261248);
  CHECK(kv["kv_bytes_per_token"] == 131072);
  CHECK(kv["at"][0]["context"] == 131072);
  CHECK(kv["at"][0]["bytes"] == 17179869184);
  for (const auto& row : kv["as"])
    if (row["kind"] == "MHA") CHECK(row["bytes_per_token"] == 4 * 131072);

  nlohmann::json e = json_of("estimate llama-3-8b h100-sxm --batch 1,32");
  for (const char* key : {"usable_bytes", "weights_bytes", "runtime_bytes", "activation_bytes", "kv_room_bytes",
                          "kv_bytes_per_sequence", "max_sequences", "max_tokens"}) {
    INFO(key);
    CHECK(e["memory"].contains(key));
  }
  REQUIRE(e["points"].size() == 2);
  const nlohmann::json& step = e["points"][1]["step"];
  for (const char* key :
       {"floor_seconds", "expected_seconds", "low_seconds", "high_seconds", "basis", "bound_by", "parts"}) {
    INFO(key);
    CHECK(step.contains(key));
  }
  CHECK(step["floor_seconds"].get<double>() * 1e3 == Approx(9.61).margin(0.005));
  double sum = 0;
  for (const auto& part : step["parts"]) sum += part["seconds"].get<double>();
  CHECK(sum == Approx(step["expected_seconds"].get<double>()));
}

TEST_CASE("output fits 80 columns, and every format is whole") {
  for (const char* arguments :
       {"kv gemma-3-27b --explain", "kv deepseek-v3", "estimate llama-3.1-70b h100-sxm --tp 4 --explain",
        "estimate mixtral-8x7b mi300x", "models", "hardware", "engines", "hardware h100-sxm", "models deepseek-v3"}) {
    Run r = run(arguments);
    INFO(arguments);
    CHECK(r.exit_code == 0);
    std::size_t columns = 0;
    for (char c : r.out) {
      if (c == '\n') {
        CHECK(columns <= 80);
        columns = 0;
      } else {
        columns += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
      }
    }
  }
  CHECK(run("estimate llama-3-8b h100-sxm --format csv").out.rfind("model,hardware,engine,", 0) == 0);
  CHECK(run("kv llama-3.1-8b --format markdown").out.find("| tokens | ideal |") != std::string::npos);
  CHECK(run("models --format csv | head -1").exit_code == 0);
}

TEST_CASE("every command has examples before its options") {
  for (const char* command : {"kv", "estimate", "models", "hardware", "engines"}) {
    Run r = run(std::string(command) + " --help");
    INFO(command);
    CHECK(r.exit_code == 0);
    CHECK(r.out.find("  kvroof " + std::string(command)) < r.out.find("Options:"));
  }
}

/// Console blocks: a line `$ ./dev kvroof ARGS` (or `$ kvroof ARGS`) and the output up to the closing fence.
TEST_CASE("the README's console blocks are what the program prints") {
  std::ifstream in(std::string(KVROOF_SOURCE) + "/README.md");
  std::string line, command, expected;
  int blocks = 0;
  auto check = [&] {
    if (command.empty()) return;
    INFO("README block: " << command);
    CHECK(run(command).out == expected);
    ++blocks;
    command.clear();
    expected.clear();
  };
  bool inside = false;
  while (std::getline(in, line)) {
    if (line.rfind("```", 0) == 0) {
      if (inside) check();
      inside = line == "```console";
      continue;
    }
    if (!inside) continue;
    std::size_t at = line.rfind("$ ", 0) == 0 ? line.find("kvroof ") : std::string::npos;
    if (at != std::string::npos) {
      check();
      command = line.substr(at + 7);
    } else if (!command.empty()) {
      expected += line + "\n";
    }
  }
  CHECK(blocks >= 3);
}

}  // namespace
