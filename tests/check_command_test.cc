// `kvroof check` as CI runs it: exit codes, every output whole, and this repository's own scenarios.
#include <catch2/catch.hpp>
#include <thread>

#include "program.h"

namespace {

using namespace kvroof::program;
namespace fs = std::filesystem;

const char* const scenarios =
    "scenarios:\n"
    "  - name: chat\n"
    "    model: mine\n"
    "    hardware: card\n"
    "    engine: ideal\n"
    "    context: 1000\n"
    "    budgets: {fits: 100 sequences}\n"
    "  - name: long\n"
    "    model: mine\n"
    "    hardware: card\n"
    "    engine: ideal\n"
    "    context: 16k\n";

/// With its own class and range, so that no figure here moves when the built-in ones are calibrated.
std::string catalogue(const char* kv_heads) {
  return std::string(
             "models:\n"
             "  mine:\n"
             "    name: Mine\n"
             "    family: llama\n"
             "    hidden: 4096\n"
             "    vocab: 32000\n"
             "    layers:\n"
             "      - count: 32\n"
             "        attention: {kind: full, q_heads: 32, kv_heads: ") +
         kv_heads +
         ", head_dim: 128}\n"
         "        feed_forward: {kind: gated, width: 14336}\n"
         "    source: me\n"
         "    confidence: A\n"
         "devices:\n"
         "  card:\n"
         "    name: Card\n"
         "    vendor: V\n"
         "    class: gpu\n"
         "    memory:\n"
         "      - {kind: HBM, capacity: 40 GiB, bandwidth: 2 TB/s}\n"
         "    source: me\n"
         "    confidence: A\n"
         "classes:\n"
         "  gpu:\n"
         "    basis: family default\n"
         "    linears: {bf16: {fraction: 0.8, launch: 4 us}}\n"
         "    attention: {bf16: {fraction: 0.7, launch: 9 us}}\n"
         "    source: me\n"
         "ranges:\n"
         "  family default: {low: 0.8, high: 1.3, source: me}\n";
}

/// A folder with scenarios, a catalogue and its baseline; the program runs inside it.
struct Project {
  fs::path path = fs::temp_directory_path() / ("kvroof_project_" + std::to_string(getpid()));
  Project() {
    fs::create_directories(path);
    write("scenarios.yaml", scenarios);
    write("mine.yaml", catalogue("8"));
    REQUIRE(check("--update").exit_code == 0);
  }
  ~Project() { fs::remove_all(path); }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path / name, std::ios::binary) << text;
  }
  std::string read(const std::string& name) const {
    std::ifstream in(path / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }
  Run check(const std::string& arguments) const {
    return run_in(path.string(), "check --catalog mine.yaml " + arguments);
  }
};

TEST_CASE("an untouched tree passes and stays as it is, byte for byte") {
  Project p;
  std::string before = p.read("baseline.json");
  Run r = p.check("");
  CHECK(r.out == "2 scenarios against baseline.json: 2 same\n");
  CHECK(r.exit_code == 0);
  CHECK(p.check("--update").exit_code == 0);
  CHECK(p.read("baseline.json") == before);
  CHECK(p.check("-q").out.empty());
}

TEST_CASE("a change is a page of causes and changes, and an accepted one is none") {
  Project p;
  p.write("mine.yaml", catalogue("16"));
  Run r = p.check("");
  CHECK(r.exit_code == 1);
  CHECK(r.out ==
        "2 scenarios against baseline.json: 2 worse\n"
        "\n"
        "Causes\n"
        "  1  mine.yaml:9: mine layers[0].attention.kv_heads 8 -> 16  (2 scenarios)\n"
        "\n"
        "Changes, worst first\n"
        "  scenario  metric        before      now   change  outcome  cause\n"
        "  chat      kv_token     128 KiB  256 KiB   +100 %  worse    1\n"
        "  chat      kv_sequence  125 MiB  250 MiB   +100 %  worse    1\n"
        "  chat      fits             217      106  -51.2 %  worse    1\n"
        "  long      kv_token     128 KiB  256 KiB   +100 %  worse    1\n"
        "  long      kv_sequence    2 GiB    4 GiB   +100 %  worse    1\n"
        "  long      fits              13        6  -53.8 %  worse    1\n"
        "  and 16 more; --all shows them\n");
  CHECK(p.check("--update").exit_code == 0);
  CHECK(p.check("").exit_code == 0);
}

TEST_CASE("a missed budget fails even an update") {
  Project p;
  p.write("mine.yaml", catalogue("32"));
  Run r = p.check("--update");
  CHECK(r.exit_code == 1);
  CHECK(r.out.rfind("2 scenarios against baseline.json: 1 budget missed, 1 worse\n", 0) == 0);
  CHECK(r.out.find("Budgets missed\n- chat fits: 51, asked for 100 sequences\n") != std::string::npos);
  CHECK(r.out.find("kvroof: baseline.json is written, but 1 scenario misses a budget; exit code 1\n") !=
        std::string::npos);
  CHECK(p.check("--update -q").out ==
        "kvroof: baseline.json is written, but 1 scenario misses a budget; exit code 1\n");
  r = p.check("");
  CHECK(r.exit_code == 1);
  CHECK(r.out ==
        "2 scenarios against baseline.json: 1 budget missed, 1 same\n"
        "\n"
        "Budgets missed\n"
        "- chat fits: 51, asked for 100 sequences\n"
        "\n"
        "Changes, worst first\n"
        "  scenario  metric  before  now  change  outcome        cause\n"
        "  chat      fits        51   51     0 %  budget missed\n");
}

TEST_CASE("the forms CI systems read, whole") {
  Project p;
  p.write("scenarios.yaml", "tolerances: {tpot: 200%, low: 200%, high: {warn: 50%}, throughput: 60%}\n" +
                                std::string(scenarios) + "    tolerances: {floor: 200%}\n");
  REQUIRE(p.check("--update").exit_code == 0);
  std::string doubled = catalogue("8");
  p.write("mine.yaml", doubled.replace(doubled.find("2 TB/s"), 6, "1 TB/s"));
  Run r = p.check("--also github=github.txt --also markdown=summary.md --also junit=junit.xml --also csv=check.csv");
  INFO(r.out);
  CHECK(r.exit_code == 1);  // the floor of chat is exact
  CHECK(
      p.read("github.txt") ==
      R"=(::error file=mine.yaml,line=19,title=chat::floor worse: 7.176 ms -> 14.35 ms (+100 %25)%0Ahigh warning: 12.72 ms -> 24.4 ms (+91.8 %25)%0Abecause mine.yaml:19: card memory[0].bandwidth 2 TB/s -> 1 TB/s
::warning file=mine.yaml,line=19,title=long::floor within tolerance: 8.184 ms -> 16.37 ms (+100 %25)%0Alow within tolerance: 8.981 ms -> 17.32 ms (+92.8 %25)%0Atpot within tolerance: 11.23 ms -> 21.65 ms (+92.8 %25)%0Ahigh warning: 14.59 ms -> 28.14 ms (+92.8 %25)%0Athroughput within tolerance: 89.08 tok/s -> 46.19 tok/s (-48.1 %25)%0Abecause mine.yaml:19: card memory[0].bandwidth 2 TB/s -> 1 TB/s
kvroof check against baseline.json: 1 worse, 1 within tolerance
)=");
  CHECK(p.read("junit.xml") == R"=(<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="2" failures="1" errors="0" time="0">
  <testsuite name="kvroof check" tests="2" failures="1" errors="0" time="0">
    <testcase classname="scenarios.yaml" name="chat" time="0">
      <failure message="floor worse: 7.176 ms -&gt; 14.35 ms (+100 %)" type="worse">floor worse: 7.176 ms -&gt; 14.35 ms (+100 %)&#10;high warning: 12.72 ms -&gt; 24.4 ms (+91.8 %)&#10;because mine.yaml:19: card memory[0].bandwidth 2 TB/s -&gt; 1 TB/s</failure>
    </testcase>
    <testcase classname="scenarios.yaml" name="long" time="0">
      <system-out>floor within tolerance: 8.184 ms -&gt; 16.37 ms (+100 %)&#10;low within tolerance: 8.981 ms -&gt; 17.32 ms (+92.8 %)&#10;tpot within tolerance: 11.23 ms -&gt; 21.65 ms (+92.8 %)&#10;high warning: 14.59 ms -&gt; 28.14 ms (+92.8 %)&#10;throughput within tolerance: 89.08 tok/s -&gt; 46.19 tok/s (-48.1 %)&#10;because mine.yaml:19: card memory[0].bandwidth 2 TB/s -&gt; 1 TB/s</system-out>
    </testcase>
  </testsuite>
</testsuites>
)=");
  CHECK(p.read("summary.md") == R"=(## 2 scenarios against baseline.json: 1 worse, 1 within tolerance

## Causes

|  |  |
| --- | --- |
| 1 | mine.yaml:19: card memory[0].bandwidth 2 TB/s -> 1 TB/s  (2 scenarios) |

## Changes, worst first

| scenario | metric | before | now | change | outcome | cause |
| --- | --- | ---: | ---: | ---: | --- | --- |
| chat | floor | 7.176 ms | 14.35 ms | +100 % | worse | 1 |
| chat | low | 7.829 ms | 15.01 ms | +91.8 % | within tolerance | 1 |
| chat | tpot | 9.786 ms | 18.77 ms | +91.8 % | within tolerance | 1 |
| long | floor | 8.184 ms | 16.37 ms | +100 % | within tolerance | 1 |
| long | low | 8.981 ms | 17.32 ms | +92.8 % | within tolerance | 1 |
| long | tpot | 11.23 ms | 21.65 ms | +92.8 % | within tolerance | 1 |

and 4 more; 'kvroof check --all' shows them
)=");
  std::string csv = p.read("check.csv");
  CHECK(csv.rfind("scenario,metric,before,now,relative,outcome,budget,cause\n"
                  "chat,floor_seconds,0.007176196096,0.014352392192,1,worse,,"
                  "mine.yaml:19: card memory[0].bandwidth 2 TB/s -> 1 TB/s\n",
                  0) == 0);
  CHECK(std::count(csv.begin(), csv.end(), '\n') == 11);
}

TEST_CASE("JSON: counts, causes with places, and each change with its share of them") {
  Project p;
  p.write("mine.yaml", catalogue("16"));
  Run r = p.check("--json");
  CHECK(r.exit_code == 1);
  nlohmann::json j = nlohmann::json::parse(r.out);
  CHECK(j["schema_version"] == 1);
  CHECK(j["passes"] == false);
  CHECK(j["counts"]["worse"] == 2);
  CHECK(j["causes"].size() == 1);
  CHECK(j["causes"][0] == nlohmann::json::parse(R"({"what": "mine layers[0].attention.kv_heads", "before": "8",
    "now": "16", "scenarios": 2, "file": "mine.yaml", "line": 9})"));
  CHECK(j["scenarios"][0]["metrics"][0] == nlohmann::json::parse(R"({"metric": "kv_bytes_per_token",
    "outcome": "worse", "before": 131072.0, "now": 262144.0, "relative": 1.0,
    "causes": [{"cause": 1, "change": 131072.0}]})"));
}

TEST_CASE("two catalogues compared, without a baseline") {
  Project p;
  fs::remove(p.path / "baseline.json");
  p.write("before.yaml", catalogue("4"));
  Run r = p.check("--against before.yaml");
  CHECK(r.exit_code == 1);
  CHECK(r.out.find("  1  mine.yaml:9: mine layers[0].attention.kv_heads 4 -> 8  (2 scenarios)\n") != std::string::npos);
  CHECK(p.check("--against mine.yaml").exit_code == 0);
  // A folder's models.yaml is all the models there are: `mine` is new since.
  fs::create_directories(p.path / "base");
  fs::copy(KVROOF_SOURCE "/models.yaml", p.path / "base" / "models.yaml");
  p.write("theirs.yaml", "scenarios:\n  - {name: llama, model: llama-3.1-8b, hardware: h100-sxm}\n");
  CHECK(run_in(p.path.string(), "check theirs.yaml --against base").out == "1 scenario against base: 1 same\n");
  CHECK(p.check("--against base").out.rfind("2 scenarios against base: 2 new\n", 0) == 0);
}

TEST_CASE("what check can't work with is one clear message and exit 2") {
  Project p;
  p.write("typo.yaml",
          "scenarios:\n  - {name: a, model: mine, hardware: card, context: 0}\n"
          "  - {name: b, model: minee, hardware: card}\n  - {name: c, model: mine, hardware: card, tp: 3}\n");
  struct {
    const char *arguments, *message;
  } rows[] = {
      {"nosuch.yaml", "kvroof: nosuch.yaml: can't be opened\n"},
      {".", "kvroof: .: is a directory, expected scenarios\n"},
      {"--baseline nosuch.json",
       "kvroof: nosuch.json: there is no baseline yet\n  'kvroof check SCENARIOS --update' writes it anew\n"},
      {"--against nosuch", "kvroof: --against: nosuch: can't be opened\n"},
      {"--update --against mine.yaml", "kvroof: --update: writes the baseline, which --against does without\n"},
      {"--also junitt=a.xml",
       "kvroof: --also: unknown format 'junitt'; did you mean 'junit'?\n"
       "  expected FORMAT=FILE, such as junit=check.xml\n"},
      {"--also junit", "kvroof: --also: 'junit' names no file\n"},
      {"--update --baseline no/such.json", "kvroof: no/such.json: can't be written\n"},
      {"typo.yaml",
       "kvroof: typo.yaml:2: 'a': --context: '0' is out of range; expected 1 to 1099511627776\n"
       "typo.yaml:3: 'b': unknown model 'minee'; did you mean 'mine'?\n"
       "  'kvroof models' lists all of them; a config.json, .gguf or .safetensors file is a model too\n"
       "typo.yaml:4: 'c': --tp: 3 does not divide the 32 query heads of mine\n"
       "  use a divisor of 32\n"
       "typo.yaml:4: 'c': --tp: card has no known link, so tensor parallelism over 3 devices can't be timed\n"
       "  use --pp, or another device\n"},
  };
  for (const auto& row : rows) {
    INFO(row.arguments);
    Run r = p.check(row.arguments);
    bool update = std::string(row.arguments).find("--update --baseline") == 0;
    CHECK((update ? r.out.substr(r.out.find("kvroof: ")) : r.out) == row.message);
    CHECK(r.exit_code == 2);
  }
  p.write("baseline.json", p.read("baseline.json").substr(0, 900));
  CHECK(p.check("").exit_code == 2);
  CHECK(p.check("--update").exit_code == 0);  // an update does not need what it replaces
  CHECK(p.check("").exit_code == 0);
}

TEST_CASE("updates at the same time leave one whole baseline") {
  Project p;
  std::string whole = p.read("baseline.json");
  std::vector<std::thread> writers;
  for (int i = 0; i < 8; ++i)
    writers.emplace_back([&] {
      fs::remove(p.path / "baseline.json");
      shell("cd '" + p.path.string() + "' && " + binary() + " check --catalog mine.yaml --update -q");
    });
  for (std::thread& w : writers) w.join();
  CHECK(p.read("baseline.json") == whole);
  for (const fs::directory_entry& entry : fs::directory_iterator(p.path))
    CHECK(entry.path().filename().string().find(".new") == std::string::npos);
}

}  // namespace
