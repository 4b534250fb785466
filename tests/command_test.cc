// The program as a user meets it: whole messages, exit codes, and the README's console blocks.
#include <catch2/catch.hpp>
#include <fstream>
#include <regex>
#include <sstream>

#include "cli/commands.h"
#include "program.h"
#include "render/document.h"

namespace {

using namespace kvroof::program;
using kvroof::columns_of;

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
      {"estimate h100-sxm llama-3.1-8b",
       "kvroof: unknown model 'h100-sxm'; that is a device, and a model comes first\n"
       "  'kvroof models' lists all of them; a config.json, .gguf or .safetensors file is a model too\n"},
      {"estimate llama-3.1-8b qwen3-32b",
       "kvroof: unknown device 'qwen3-32b'; that is a model, and comes first\n"
       "  'kvroof hardware' lists all of them\n"},
      {"plan h100-sxm llama-3.1-8b --users 4",
       "kvroof: unknown argument 'llama-3.1-8b'; the model comes first: kvroof plan llama-3.1-8b --on h100-sxm\n"},
      {"plan llama-3.1-8b h100-sxm --users 4", "kvroof: unknown argument 'h100-sxm'; devices go with --on h100-sxm\n"},
      {"plan llama-3.1-8b qwen3-32b --users 4",
       "kvroof: unknown argument 'qwen3-32b'; several go in one list, with commas: llama-3.1-8b,qwen3-32b\n"},
      {"sweep llama-3.1-8b qwen3-32b h100-sxm",
       "kvroof: unknown argument 'h100-sxm'; several go in one list, with commas: llama-3.1-8b,...\n"},
      {"estimate llama-3.1-8b h100-sxm --price 0", "kvroof: --price: '0' is not a price such as 2.50/h\n"},
      {"sweep llama-3.1-8b h100-sxm --price h100-sxm=2/hour",
       "kvroof: --price h100-sxm: '2/hour' is not a price such as 2.50/h\n"},
      {"estimate llama-3.1-8b h100-sxm --price h100sxn=2/h",
       "kvroof: unknown device 'h100sxn'; did you mean 'h100-sxm'?\n  'kvroof hardware' lists all of them\n"},
      {"estimate llama-3.1-8b h100-sxm --tp 1 --tp 2",
       "kvroof: --tp: is given 2 times\n  --help shows what is expected\n"},
      {"sweep llama-3.1-8b h100-sxm,l40s --price 2,3 --price l40s=1/h",
       "kvroof: --price: give one for every device, or one for each by name\n"},
      {"sweep llama-3.1-8b h100-sxm --max cost=cheap",
       "kvroof: --max cost: 'cheap' is not a number such as 0.50 or 5/Mtok\n"},
      {"sweep llama-3.1-8b h100-sxm --batch 1..8*x", "kvroof: --batch: 'x' is not a number (in the range '1..8*x')\n"},
      {"sweep llama-3.1-8b h100-sxm --metrics ttft",
       "kvroof: ttft: needs a load; say --input, --output and --concurrency or --rate\n"},
      {"compare 'llama-3.1-8b h100-sxm' 'h200-sxm --tp x'",
       "kvroof: case B: --tp: 'x' is not a whole number such as 4096, 32k or 1M\n"},
      {"compare 'llama-3.1-8b h100-sxm' h200-sxm --contxt 8k",
       "kvroof: unknown option '--contxt'\n  a case of options alone goes in quotes, such as '--tp 2'\n"},
      {"compare h100-sxm mi300x",
       "kvroof: case A 'h100-sxm': needs a model and a device, such as 'llama-3.1-8b h100-sxm'\n"},
      {"compare 'llama-3.1-8b h100-sxm'", "kvroof: compare: needs two cases or more\n"},
      {"plan llama-3.1-8b --users 0", "kvroof: --users: '0' is out of range; expected 1 to 1048576\n"},
      {"plan llama-3.1-8b", "kvroof: --users: is needed, or --rate\n  such as --users 200 or --rate 4/s\n"},
      {"plan llama-3.1-8b --users 4 --context 8k --ttft 2s",
       "kvroof: --ttft: needs a prompt\n  say --input and --output instead of --context\n"},
      {"plan llama-3.1-8b --users 4 --context 8k --input 1k",
       "kvroof: --context: asks for decoding alone, without --input and --output\n"},
      {"plan llama-3.1-8b --users 4 --have l40s", "kvroof: --have: 'l40s' is not a number of devices such as 4xl40s\n"},
      {"plan llama-3.1-8b --users 4 --price h100-sxm=cheap",
       "kvroof: --price h100-sxm: 'cheap' is not a price such as 2.50/h\n"},
      {"plan llama-3.1-8b --users 4 --tpot 30", "kvroof: --tpot: '30' has no unit; expected a time such as 30ms\n"},
      {"plan llama-3.1-8b --users 4 --spare 8 --max-devices 8",
       "kvroof: --max-devices: 8 can't hold 8 spare replicas and one that works\n"},
      {"sweep llama-3.1-8b h100-sxm,nosuch",
       "kvroof: unknown device 'nosuch'\n  'kvroof hardware' lists all of them\n"},
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

TEST_CASE("numbers around 2^53 and 2^63 on the command line") {
  struct {
    const char *arguments, *message;
  } rows[] = {
      {"--context 9007199254740993",
       "kvroof: --context: '9007199254740993' is out of range; expected 1 to 1099511627776\n"},
      {"--context 9223372036854775807",
       "kvroof: --context: '9223372036854775807' is out of range; expected 1 to 1099511627776\n"},
      {"--batch 18446744073709551616",
       "kvroof: --batch: '18446744073709551616' is out of range; expected 1 to 1099511627776\n"},
      {"--batch 1e400", "kvroof: --batch: '1e400' is not a whole number such as 4096, 32k or 1M\n"},
      {"--batch 5e-324", "kvroof: --batch: '5e-324' is not a whole number\n"},
      {"--tp 9223372036854775808",
       "kvroof: --tp: '9223372036854775808' is out of range; expected 1 to 1099511627776\n"},
      {"--kv-room 16EiB",
       "kvroof: --kv-room: unknown unit 'EiB' in '16EiB'; expected one of B, GB, TB, KiB, MiB, GiB, TiB, PiB\n"},
      {"--kv-room 9PiB", "kvroof: --kv-room: is more than 8 PiB\n  bytes stay exact only below 2^53\n"},
      {"--context 1099511627776 --batch 4294967296",
       "kvroof: --context: the cache asked for is beyond 8 EiB\n  bytes stay exact only below 2^53\n"},
  };
  for (const auto& row : rows) {
    Run r = run(std::string("estimate llama-3.1-8b h100-sxm ") + row.arguments);
    INFO(row.arguments);
    CHECK(r.exit_code == 2);
    CHECK(r.out == row.message);
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
  CHECK(r.out.find(":1:1: expected a section: models, devices, classes, kernels, engines or ranges\n") !=
        std::string::npos);
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

TEST_CASE("a sweep writes the same bytes on one thread and on many, in every format") {
  const std::string sweep = "sweep llama-3.1-8b,gemma-3-27b h100-sxm,l4 --tp 1,2 --context 1k..32k*2 --batch 1..16 ";
  for (const char* format : {"text", "csv", "json", "markdown"}) {
    Run one = run(sweep + "--threads 1 --format " + format), many = run(sweep + "--threads 5 --format " + format);
    INFO(format);
    CHECK(one.exit_code == 0);
    CHECK(one.out == many.out);
  }
  Run data = run(sweep + "--json 2>/dev/null");
  nlohmann::json j = nlohmann::json::parse(data.out);
  CHECK(j["schema_version"] == 1);
  CHECK(j["points"] == 2 * 2 * 2 * 6 * 16);
  CHECK(j["rows"].size() > 100);
  CHECK(j["rows"][0]["model"] == "llama-3.1-8b");
  CHECK(j["rows"][0]["context"] == 1024);
  CHECK(j["rows"][0]["fits"] == true);
  Run none = run("sweep llama-3.1-8b l4 --batch 1,2 --max tpot=1us --format csv");
  CHECK(none.exit_code == 1);
  CHECK(none.out ==
        "model,hardware,batch,fits,expected_seconds,low_seconds,high_seconds,tokens_per_second\n"
        "kvroof: 2 of 2 points are outside --min and --max, or lack a figure they limit\n");
}

TEST_CASE("compare: later cases say what differs; ratios and parts follow") {
  nlohmann::json j = json_of("compare 'llama-3.1-8b h100-sxm' h200-sxm '--kv-dtype fp8' --batch 16 --context 16k", 0);
  REQUIRE(j["cases"].size() == 3);
  CHECK(j["cases"][1]["hardware"] == "h200-sxm");
  CHECK(j["cases"][1]["model"] == "llama-3.1-8b");
  CHECK(j["cases"][2]["hardware"] == "h100-sxm");
  double a = j["cases"][0]["metrics"]["expected_seconds"], c = j["cases"][2]["metrics"]["expected_seconds"];
  CHECK(j["differences"]["C"]["step"]["difference"].get<double>() == Approx(c - a));
  CHECK(j["differences"]["C"]["step"]["parts"][0]["label"] == "kv cache");  // what fp8 keys and values change
  Run text = run("compare 'llama-3.1-8b h100-sxm' l4 --batch 2");
  CHECK(text.exit_code == 0);
  CHECK(text.out.find("Why B's step at batch ") != std::string::npos);
}

TEST_CASE("compare under a load: the steps of a replica decode its share, and take no longer than a token") {
  nlohmann::json j = json_of("compare 'qwen3-32b mi300x --dp 3 --input 512 --output 200 --concurrency 500' '--tp 4'");
  nlohmann::json alone =
      json_of("estimate qwen3-32b mi300x --dp 3 --input 512 --output 200 --concurrency 500 --batch 165");
  const nlohmann::json& a = j["cases"][0]["metrics"];
  CHECK(std::round(a["decoding"].get<double>() / 3) == 165);
  CHECK(a["expected_seconds"] == alone["points"][0]["step"]["expected_seconds"]);
  for (const nlohmann::json& side : j["cases"])
    CHECK(side["metrics"]["expected_seconds"] <= side["metrics"]["tpot_seconds"]);
  CHECK(a["devices"].is_number_integer());
}

TEST_CASE("plan: a choice, its command and prices; or the nearest wish and exit 1") {
  std::string prices = temporary("prices.yaml", "h100-sxm: $3.00/h\nmi300x: 1.25/h\n");
  nlohmann::json j = json_of("plan llama-3.1-8b --users 32 --tpot 30ms --on h100-sxm,mi300x --prices " + prices);
  const nlohmann::json& choices = j["plans"][0]["choices"];
  REQUIRE(choices.size() == 2);
  CHECK(choices[0]["hardware"] == "mi300x");
  CHECK(choices[0]["dollars_per_hour"] == 1.25);
  CHECK(choices[1]["dollars_per_hour"] == 3.0);
  std::string command = choices[0]["command"];
  REQUIRE(command.rfind("kvroof estimate ", 0) == 0);
  nlohmann::json estimate = json_of(command.substr(7));
  CHECK(estimate["serving"]["tpot_seconds"] == choices[0]["tpot_seconds"]);
  nlohmann::json impossible = json_of("plan llama-3.1-8b --users 1 --context 8k --tpot 10us --on h100-sxm,l4", 1);
  CHECK(impossible["plans"][0]["nearest"].size() == 1);
  CHECK(impossible["plans"][0]["misses"][0]["obstacle"] == "tpot");
  nlohmann::json poor = json_of("plan llama-3.1-70b --users 1 --on h100-sxm --budget 1/h", 1);
  CHECK(poor["plans"][0]["misses"][0]["obstacle"] == "budget");
  std::string bad = temporary("prices_bad.yaml", "h100-sxm: 2.50/h\nnosuch: 1/h\nl4: dear\n");
  CHECK(run("plan llama-3.1-8b --users 4 --prices " + bad).out ==
        "kvroof: " + bad +
            ":2:1: unknown device 'nosuch'\n  2 | nosuch: 1/h\n    | ^\n  'kvroof hardware' lists all of them\n" + bad +
            ":3:5: l4: 'dear' is not a price such as 2.50/h\n  3 | l4: dear\n    |     ^\n");
}

/// The wish as options: `TPOT 41 ms, 72 devices, on ...` is `--tpot 41ms --max-devices 72`.
std::string options_of_wish(std::string wish) {
  std::string options;
  for (auto [pattern, option] : {std::pair<const char*, const char*>{"TPOT ([0-9.,]+) (ms|us|s)", " --tpot $1$2"},
                                 {"TTFT ([0-9.,]+) (ms|us|s)", " --ttft $1$2"},
                                 {"[$]([0-9.,]+)/h", " --budget $1/h"},
                                 {"([0-9,]+) devices", " --max-devices $1"},
                                 {"([0-9,]+) users?,", " --users $1"},
                                 {"([0-9.,]+) requests/s", " --rate $1/s"}}) {
    std::smatch found;
    if (std::regex_search(wish, found, std::regex(pattern))) options += found.format(option);
  }
  std::erase(options, ',');
  return options;
}

TEST_CASE("plan: what could be can be, all else as asked") {
  struct Wishes {
    const char *asked, *limits;
    std::size_t found;
  };
  for (const Wishes& w : {Wishes{"llama-3.3-70b --on h100-sxm,h200-sxm,l4", "--users 200 --tpot 12ms --ttft 2s", 3},
                          Wishes{"llama-3.3-70b --on h100-sxm,mi355x", "--users 200 --tpot 30ms --budget 10/h", 3},
                          Wishes{"qwen3-32b --on h100-sxm,h200-sxm", "--rate 40/s --tpot 20ms --max-devices 8", 3},
                          Wishes{"llama-3.1-8b --on h100-sxm,gb200", "--users 20 --tpot 100us --budget 0.5/h", 1},
                          Wishes{"llama-3.1-8b --on l40s --price 0.1/h",  // whose multiples are not what is typed
                                 "--users 600 --input 4k --tpot 50ms --budget 0.05/h", 1},
                          Wishes{"llama-3.1-8b --on h100-sxm", "--users 8 --ttft 1ms --tpot 1ms --budget 1/h", 1},
                          Wishes{"llama-3.1-8b --on h100-sxm",
                                 "--users 500 --tpot 20ms --confidence p90 --spare 1 "
                                 "--headroom 20% --max-devices 8",
                                 3}}) {
    CAPTURE(w.asked, w.limits);
    std::string model = w.asked;
    nlohmann::json refused = json_of("plan " + model + " " + w.limits, 1);
    const nlohmann::json& wishes = refused["plans"][0]["nearest"];
    CHECK(wishes.size() == w.found);
    for (const std::string wish : wishes) {
      std::string options = w.limits, more = options_of_wish(wish);
      REQUIRE(!more.empty());
      // The wish's value stands for the one asked for.
      std::istringstream words(more);
      for (std::string option, value; words >> option >> value;)
        options = std::regex_replace(options, std::regex(option + " [^ ]+ ?"), "") + " " + option + " " + value;
      CAPTURE(wish, options);
      json_of("plan " + model + " " + options);
    }
  }
}

TEST_CASE("a token's cost and energy are those of the time it takes") {
  std::string prices = temporary("prices_l4.yaml", "l4: 7.20/h\n");
  for (auto [price, dollars_a_second] : {std::pair<std::string, double>{"--price 3.6/h", 0.001},
                                         {"--prices " + prices, 0.002},
                                         {"--prices " + prices + " --price 3.6/h", 0.001}}) {
    CAPTURE(price);
    nlohmann::json j = json_of("estimate llama-3.1-8b l4 --tp 2 --batch 1,4 --input 1k --output 64 " + price);
    for (const nlohmann::json& served : {j["points"][0], j["points"][1], j["serving"]}) {
      double tokens = served["tokens_per_second"];
      CHECK(served["dollars_per_million_tokens"] == Approx(2 * dollars_a_second * 1e6 / tokens).epsilon(1e-12));
      CHECK(served["joules_per_token"] == Approx(2 * 72 / tokens).epsilon(1e-12));  // an L4 is rated 72 W
    }
  }
  nlohmann::json unpriced = json_of("estimate llama-3.2-1b apple-m1 --batch 1");
  CHECK(!unpriced["points"][0].contains("dollars_per_million_tokens"));
}

TEST_CASE("every command has examples before its options") {
  for (const char* command : {"kv", "estimate", "plan", "sweep", "compare", "models", "hardware", "engines"}) {
    Run r = run(std::string(command) + " --help");
    INFO(command);
    CHECK(r.exit_code == 0);
    CHECK(r.out.find("  kvroof " + std::string(command)) < r.out.find("Options:"));
  }
}

TEST_CASE("help is at most 80 columns wide, and `help plan` is `plan --help`") {
  std::vector<std::string> asked = {"--help"};
  for (const kvroof::Command& c : kvroof::commands()) asked.push_back(std::string(c.name) + " --help");
  for (const std::string& words : asked) {
    std::istringstream lines(run(words).out);
    for (std::string line; std::getline(lines, line);) {
      INFO(words << ": " << line);
      CHECK(columns_of(line) <= 80);
    }
  }
  CHECK(run("help plan").out == run("plan --help").out);
  CHECK(run("help").out == run("--help").out);
}

TEST_CASE("devices too few for a model are answered with how many would do") {
  nlohmann::json few = json_of("plan llama-3.3-70b --users 4 --on h100-sxm --max-devices 1", 1);
  CHECK(few["plans"][0]["nearest"].size() == 1);
  CHECK(few["plans"][0]["nearest"][0] == "2 devices (--max-devices), on 2 x h100-sxm as tp 2");
  CHECK(json_of("plan llama-3.3-70b --users 4 --on h100-sxm --max-devices 2", 0)["plans"][0]["choices"].size() == 1);
}

TEST_CASE("what README, docs and reports show of a run is what the program prints") {
  Run r = run_in(KVROOF_SOURCE, "report --diff README.md docs reports/ratios.md reports/plans.md");
  INFO(r.out);
  CHECK(r.exit_code == 0);
}

TEST_CASE("the committed scenarios are as they were promised") {
  Run r = run_in(KVROOF_SOURCE, "check reports/scenarios.yaml");
  INFO(r.out);
  CHECK(r.exit_code == 0);
}

}  // namespace
