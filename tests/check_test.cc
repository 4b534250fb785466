// `check` from the inside: a small catalogue, one edit of it at a time, and what moved, which way, because of which
// line.
#include "cli/check.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <thread>

#include "cli/baseline.h"
#include "cli/check_report.h"

namespace kvroof {
namespace {

namespace fs = std::filesystem;

const std::string catalogue = R"(models:
  small:
    name: Small
    family: llama
    hidden: 4096
    vocab: 32000
    layers:
      - count: 32
        attention: {kind: full, q_heads: 32, kv_heads: 8, head_dim: 128}
        feed_forward: {kind: gated, width: 14336}
    source: "a shape people know"
    confidence: A
  other:
    name: Other
    family: llama
    hidden: 2048
    vocab: 32000
    layers:
      - count: 16
        attention: {kind: full, q_heads: 16, kv_heads: 16, head_dim: 128}
        feed_forward: {kind: gated, width: 8192}
    source: "another"
    confidence: A
devices:
  card:
    name: Card
    vendor: V
    class: gpu
    aliases: [Karte]
    peak: {bf16: 400 TFLOPS}
    memory:
      - {kind: HBM, capacity: 40 GiB, bandwidth: 2 TB/s}
    link: {kind: L, per_direction: 300 GB/s, domain: 8}
    price: {per_hour: 2, source: me}
    achievable:
      linears: {bf16: {fraction: 0.8, launch: 4 us}}
    source: me
    confidence: A
classes:
  gpu:
    basis: family default
    attention: {bf16: {fraction: 0.7, launch: 9 us}}
    source: me
engines:
  vllm:
    name: vLLM
    layout: paged
    block_tokens: 16
    memory_fraction: 0.9
    runtime: 1 GiB
    layer: 20 us
    source: me
ranges:
  family default: {low: 0.8, high: 1.3, source: me}
  measured kernels: {low: 0.9, high: 1.1, source: me}
)";

const std::string scenarios = R"(scenarios:
  - name: chat
    model: small
    hardware: card
    context: 1000
    batch: 8
  - name: load
    model: other
    hardware: card
    input: 1k
    output: 256
    concurrency: 16
)";

/// A folder of its own for the files of one test.
struct Folder {
  fs::path path = fs::temp_directory_path() / ("kvroof_check_" + std::to_string(getpid()));
  Folder() { fs::create_directories(path); }
  ~Folder() { fs::remove_all(path); }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path / name, std::ios::binary) << text;
    return (path / name).string();
  }
};

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  std::size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  REQUIRE(text.find(from, at + 1) == std::string::npos);
  return text.replace(at, from.size(), to);
}

int line_of(const std::string& text, const std::string& what) {
  return 1 + int(std::count(text.begin(), text.begin() + i64(text.find(what)), '\n'));
}

Catalog catalog_of_text(const std::string& text) {
  Catalog catalog;
  catalog.add_text("mine.yaml", text);
  return catalog;
}

ScenarioFile scenario_file(const Folder& folder, const std::string& text) {
  return read_scenarios(folder.write("scenarios.yaml", text));
}

Check check_of(const Folder& folder, const std::string& before, const std::string& now,
               const std::string& text = scenarios) {
  ScenarioFile file = scenario_file(folder, text);
  Catalog old = catalog_of_text(before), fresh = catalog_of_text(now);
  return compare(answer_all(file, old), answer_all(file, fresh), {file, fresh, false}, "before");
}

const MetricCheck* find(const Check& check, const std::string& scenario, const std::string& metric) {
  for (const ScenarioCheck& s : check.scenarios)
    for (const MetricCheck& m : s.metrics)
      if (s.name == scenario && m.metric->name == metric) return &m;
  return nullptr;
}

TEST_CASE("an untouched catalogue, or one whose prose alone changed, is the same") {
  Folder folder;
  CHECK(check_of(folder, catalogue, catalogue).passes());
  Check prose = check_of(folder, catalogue, replaced(catalogue, "a shape people know", "a better source"));
  CHECK(prose.passes());
  CHECK(prose.count(Finding::same) == 2);
  CHECK(prose.causes.empty());
}

TEST_CASE("each injected change is caught with its metric, its direction and its line") {
  struct {
    const char *from, *to, *scenario, *metric;
    Finding outcome;
    const char* cause;  ///< after `mine.yaml:LINE: `
  } rows[] = {
      {"bandwidth: 2 TB/s", "bandwidth: 1.9 TB/s", "chat", "tpot", Finding::worse,
       "card memory[0].bandwidth 2 TB/s -> 1.9 TB/s"},
      {"bandwidth: 2 TB/s", "bandwidth: 2.1 TB/s", "chat", "floor", Finding::better,
       "card memory[0].bandwidth 2 TB/s -> 2.1 TB/s"},
      {"capacity: 40 GiB", "capacity: 39 GiB", "chat", "fits", Finding::worse,
       "card memory[0].capacity 40 GiB -> 39 GiB"},
      {"q_heads: 32, kv_heads: 8", "q_heads: 32, kv_heads: 4", "chat", "kv_token", Finding::better,
       "small layers[0].attention.kv_heads 8 -> 4"},
      {"count: 32", "count: 33", "chat", "weights", Finding::worse, "small layers[0].count 32 -> 33"},
      {"count: 16", "count: 20", "load", "ttft", Finding::worse, "other layers[0].count 16 -> 20"},
      {"block_tokens: 16", "block_tokens: 64", "chat", "kv_sequence", Finding::worse, "vllm block_tokens 16 -> 64"},
      {"memory_fraction: 0.9", "memory_fraction: 0.95", "chat", "kv_room", Finding::better,
       "vllm memory_fraction 0.9 -> 0.95"},
      {"layer: 20 us", "layer: 25 us", "chat", "throughput", Finding::worse, "vllm layer 20 us -> 25 us"},
      {"fraction: 0.8", "fraction: 0.85", "chat", "tpot", Finding::better,
       "card achievable.linears.bf16.fraction 0.8 -> 0.85"},
      {"{fraction: 0.7, launch: 9 us}", "{fraction: 0.6, launch: 9 us}", "chat", "tpot", Finding::worse,
       "card achievable.attention.bf16.fraction 0.7 -> 0.6"},
      {"high: 1.3", "high: 1.4", "chat", "high", Finding::worse, "family default high 1.3 -> 1.4"},
      {"per_hour: 2,", "per_hour: 3,", "load", "cost", Finding::worse, "card price.per_hour 2.0 -> 3.0"},
      {"basis: family default", "basis: measured kernels", "chat", "high", Finding::better,
       "card achievable.basis family default -> measured kernels"},
  };
  Folder folder;
  for (const auto& row : rows) {
    INFO(row.from << " -> " << row.to);
    Check check = check_of(folder, catalogue, replaced(catalogue, row.from, row.to));
    CHECK(!check.passes());
    const MetricCheck* m = find(check, row.scenario, row.metric);
    REQUIRE(m);
    CHECK(m->outcome == row.outcome);
    REQUIRE(check.causes.size() == 1);
    CHECK(check.causes[0].text() == "mine.yaml:" + std::to_string(line_of(catalogue, row.from)) + ": " + row.cause);
    REQUIRE(m->attribution.effects.size() == 1);
    CHECK(m->attribution.together == 0);
    CHECK(*m->attribution.effects[0].change == *m->now - *m->before);
  }
}

TEST_CASE("a change that answers nothing different names only the metrics it moves") {
  Folder folder;
  Check check = check_of(folder, catalogue, replaced(catalogue, "per_hour: 2,", "per_hour: 3,"));
  for (const ScenarioCheck& s : check.scenarios) {
    CHECK(s.metrics.size() == 1);
    CHECK(*s.metrics[0].relative() == Approx(0.5));
  }
  CHECK(check_of(folder, catalogue, replaced(catalogue, "per_direction: 300", "per_direction: 200")).passes());
}

TEST_CASE("two changes at once are split by trying each alone") {
  Folder folder;
  std::string now = replaced(replaced(catalogue, "bandwidth: 2 TB/s", "bandwidth: 1 TB/s"), "q_heads: 32, kv_heads: 8",
                             "q_heads: 32, kv_heads: 4");
  Check check = check_of(folder, catalogue, now);
  REQUIRE(check.causes.size() == 2);
  const MetricCheck* m = find(check, "chat", "floor");
  REQUIRE(m);
  REQUIRE(m->attribution.effects.size() == 2);
  double sum = m->attribution.together;
  for (const Effect& e : m->attribution.effects) sum += *e.change;
  CHECK(sum == Approx(*m->now - *m->before));
  // Halving the bandwidth doubles the floor; halving the heads takes bytes away.
  const Effect &first = m->attribution.effects[0], &second = m->attribution.effects[1];
  CHECK(check.causes[first.cause].what == "card memory[0].bandwidth");
  CHECK(*first.change == Approx(*m->before));
  CHECK(check.causes[second.cause].what == "small layers[0].attention.kv_heads");
  CHECK(*second.change < 0);
  CHECK(m->attribution.together == Approx(*second.change));  // bytes saved count double at half the bandwidth
  const MetricCheck* bytes = find(check, "chat", "kv_token");
  REQUIRE(bytes);
  REQUIRE(bytes->attribution.effects.size() == 1);
  CHECK(check.causes[bytes->attribution.effects[0].cause].what == "small layers[0].attention.kv_heads");
}

TEST_CASE("fields that only make sense together are one cause") {
  Folder folder;
  Check check =
      check_of(folder, catalogue, replaced(catalogue, "q_heads: 32, kv_heads: 8", "q_heads: 24, kv_heads: 6"));
  REQUIRE(check.causes.size() == 1);
  CHECK(check.causes[0].text() ==
        "mine.yaml:9: small layers[0].attention.q_heads, layers[0].attention.kv_heads 32, 8 -> 24, 6");
  Check kind = check_of(folder, catalogue,
                        replaced(catalogue, "{kind: full, q_heads: 32, kv_heads: 8, head_dim: 128}",
                                 "{kind: sliding, q_heads: 32, kv_heads: 8, head_dim: 128, window: 512}"));
  REQUIRE(kind.causes.size() == 1);
  CHECK(kind.causes[0].text() == "mine.yaml:9: small layers[0].attention full -> sliding");
}

TEST_CASE("a removed model takes its scenarios with it") {
  Folder folder;
  std::size_t begin = catalogue.find("  other:"), end = catalogue.find("devices:");
  Check check = check_of(folder, catalogue, catalogue.substr(0, begin) + catalogue.substr(end));
  CHECK(check.count(Finding::gone) == 1);
  CHECK(check.scenarios[0].name == "load");
  CHECK(check.scenarios[0].error == "unknown model 'other'");
  REQUIRE(check.causes.size() == 1);
  CHECK(check.causes[0].file == (folder.path / "scenarios.yaml").string());
  CHECK(check.causes[0].line == 7);
  CHECK(check_of(folder, catalogue.substr(0, begin) + catalogue.substr(end), catalogue).count(Finding::added) == 1);
}

TEST_CASE("a label's kind hides no number beside it") {
  Folder folder;
  Check check = check_of(folder, catalogue,
                         replaced(catalogue, "{kind: HBM, capacity: 40 GiB, bandwidth: 2 TB/s}",
                                  "{kind: HBM4, capacity: 40 GiB, bandwidth: 1.9 TB/s}"));
  REQUIRE(check.causes.size() == 1);
  CHECK(check.causes[0].text() == "mine.yaml:32: card memory[0].bandwidth 2 TB/s -> 1.9 TB/s");
  CHECK(check_of(folder, catalogue, replaced(catalogue, "{kind: HBM,", "{kind: HBM4,")).passes());
}

TEST_CASE("another class of a device is one cause, with all that the class brings") {
  Folder folder;
  std::string two = replaced(catalogue, "engines:\n", R"(  superchip:
    basis: measured kernels
    attention: {bf16: {fraction: 0.6, launch: 12 us}}
    hop: 9 us
    source: me
engines:
)");
  Check check = check_of(folder, two, replaced(two, "class: gpu", "class: superchip"));
  REQUIRE(check.causes.size() == 1);
  CHECK(check.causes[0].text() == "mine.yaml:28: card class gpu -> superchip");
  CHECK(find(check, "chat", "tpot")->outcome == Finding::worse);
  CHECK(find(check, "chat", "tpot")->attribution.together == 0);

  // A figure of the device's own that was edited as well keeps its own line.
  check = check_of(
      folder, two,
      replaced(replaced(two, "class: gpu", "class: superchip"), "{fraction: 0.8, launch", "{fraction: 0.9, launch"));
  REQUIRE(check.causes.size() == 2);
  CHECK(check.causes[0].text() == "mine.yaml:28: card class gpu -> superchip");
  CHECK(check.causes[1].text() == "mine.yaml:36: card achievable.linears.bf16.fraction 0.8 -> 0.9");
}

TEST_CASE("an entry is one cause, by whatever name scenarios call it") {
  Folder folder;
  std::string text = replaced(scenarios, "    hardware: card\n    context", "    hardware: Karte\n    context");
  Check check = check_of(folder, catalogue, replaced(catalogue, "bandwidth: 2 TB/s", "bandwidth: 1.9 TB/s"), text);
  CHECK(check.count(Finding::worse) == 2);
  REQUIRE(check.causes.size() == 1);
  CHECK(check.causes[0].text() == "mine.yaml:32: card memory[0].bandwidth 2 TB/s -> 1.9 TB/s");
}

TEST_CASE("an entry called by another of its names is not another entry") {
  Folder folder;
  std::string renamed = replaced(scenarios, "    hardware: card\n    context", "    hardware: Karte\n    context");
  Catalog old = catalog_of_text(catalogue),
          fresh = catalog_of_text(replaced(catalogue, "bandwidth: 2 TB/s", "bandwidth: 1.9 TB/s"));
  Answers before = answer_all(scenario_file(folder, scenarios), old);
  ScenarioFile file = scenario_file(folder, renamed);
  CHECK(compare(before, answer_all(file, old), {file, old, true}, "baseline.json").passes());
  Check check = compare(before, answer_all(file, fresh), {file, fresh, true}, "baseline.json");
  REQUIRE(check.causes.size() == 1);
  CHECK(check.causes[0].text() == "mine.yaml:32: card memory[0].bandwidth 2 TB/s -> 1.9 TB/s");
}

TEST_CASE("a device from a file of its own has its lines there, and its class's in the catalogue") {
  Folder folder;
  std::string own = R"(devices:
  # this machine
  desk:
    name: Desk
    vendor: V
    class: gpu
    memory:
      - {kind: DDR5, capacity: 40 GiB, bandwidth: 100 GB/s}
    source: me
    confidence: A
)";
  std::string asks = replaced(scenarios, "    hardware: card\n    context", "    hardware: desk.yaml\n    context");
  folder.write("desk.yaml", own);
  ScenarioFile file = scenario_file(folder, asks);
  Catalog catalog = catalog_of_text(catalogue);
  Answers before = answer_all(file, catalog);
  REQUIRE(before.by_name.at("chat").error == "");
  std::string path = folder.write("desk.yaml", replaced(own, "100 GB/s", "90 GB/s"));
  Check check = compare(before, answer_all(file, catalog), {file, catalog, true}, "baseline.json");
  REQUIRE(check.causes.size() == 1);
  CHECK(check.causes[0].text() == path + ":8: desk memory[0].bandwidth 0.1 TB/s -> 90 GB/s");

  folder.write("desk.yaml", own);
  Catalog slower = catalog_of_text(replaced(catalogue, "{fraction: 0.7, launch", "{fraction: 0.6, launch"));
  ScenarioFile alone = scenario_file(folder, asks.substr(0, asks.find("  - name: load")));
  before = answer_all(alone, catalog);
  check = compare(before, answer_all(alone, slower), {alone, slower, true}, "baseline.json");
  REQUIRE(check.causes.size() == 1);
  CHECK(check.causes[0].text() == "mine.yaml:42: desk achievable.attention.bf16.fraction 0.7 -> 0.6");
}

/// What `compare` says of a file of scenarios that it refuses; empty when it does not.
std::string refusal(const Folder& folder, const std::string& before, const std::string& now,
                    const std::string& text = scenarios) {
  try {
    check_of(folder, before, now, text);
  } catch (const InputError& e) { return e.message; }
  return "";
}

TEST_CASE("what can't be read is no answer, and is said once with its place") {
  Folder folder;
  std::string at = (folder.path / "scenarios.yaml").string() + ":2: 'chat': ";
  std::string bad = replaced(catalogue, "bandwidth: 2 TB/s", "bandwidth: 2 TB ");
  std::string wrong = R"(mine.yaml:32:50: '2 TB' is a size; expected a bandwidth such as 3.35TB/s
  32 |       - {kind: HBM, capacity: 40 GiB, bandwidth: 2 TB }
     |                                                  ^
  and 1 more scenario
)";
  CHECK(refusal(folder, catalogue, bad) == at + wrong);
  CHECK(refusal(folder, bad, catalogue) == at + wrong);  // on either side
  CHECK(refusal(folder, catalogue, replaced(catalogue, "    vendor: V\n", "    vendor: V\n    base: nosuch\n")) ==
        at + R"(mine.yaml:28:11: base: expected an entry of devices that stands before this one
  28 |     base: nosuch
     |           ^
  and 1 more scenario
)");
  std::string asks = replaced(scenarios, "model: small", "model: config.json");
  std::string config = folder.write("config.json", "{\"model_type\": \"llama\",");
  ScenarioFile file = scenario_file(folder, asks);
  Catalog catalog = catalog_of_text(catalogue);
  Answers now = answer_all(file, catalog), before = now;
  Answer& was = before.by_name.at("chat");
  was = now.by_name.at("load"), was.options = now.by_name.at("chat").options;
  CHECK(now.by_name.at("chat").fault == Fault::unreadable);
  CHECK_THROWS_AS(compare(before, now, {file, catalog, true}, "baseline.json"), InputError);
  fs::remove(config);  // but one that was taken away is gone
  now = answer_all(file, catalog);
  CHECK(now.by_name.at("chat").fault == Fault::absent);
  CHECK(compare(before, now, {file, catalog, true}, "baseline.json").count(Finding::gone) == 1);
}

TEST_CASE("a scenario that a catalogue's edit makes impossible is gone because of that line") {
  Folder folder;
  std::string split = replaced(scenarios, "batch: 8", "batch: 8\n    tp: 4");
  Check check = check_of(
      folder, catalogue,
      replaced(replaced(catalogue, "q_heads: 32, kv_heads: 8", "q_heads: 30, kv_heads: 6"), "count: 32", "count: 33"),
      split);
  CHECK(check.count(Finding::gone) == 1);
  CHECK(check.scenarios[0].error == "--tp: 4 does not divide the 30 query heads of small");
  REQUIRE(check.causes.size() == 2);
  CHECK(check.causes[0].text() == "mine.yaml:9: small layers[0].attention.q_heads 32 -> 30");
  CHECK(check_junit(check).find("type=\"gone\">--tp: 4 does not divide the 30 query heads of small&#10;because "
                                "mine.yaml:9: small layers[0].attention.q_heads 32 -&gt; 30") != std::string::npos);

  // An edit of the scenario itself that makes it impossible is a mistake.
  Catalog catalog = catalog_of_text(catalogue);
  Answers before = answer_all(scenario_file(folder, scenarios), catalog);
  for (const auto& [from, to, wrong] :
       {std::tuple("batch: 8", "batch: 8\n    tp: 5", "--tp: 5 does not divide the 32 query heads of small"),
        {"model: small", "model: smal", "unknown model 'smal'; did you mean 'small'?"},
        {"context: 1000", "context: 0", "--context: '0' is out of range; expected 1 to 1099511627776"}}) {
    ScenarioFile file = scenario_file(folder, replaced(scenarios, from, to));
    std::string said;
    try {
      compare(before, answer_all(file, catalog), {file, catalog, true}, "baseline.json");
    } catch (const InputError& e) { said = e.message.substr(0, e.message.find('\n')); }
    CHECK(said == file.path + ":2: 'chat': " + wrong);
  }
}

TEST_CASE("what the scenario itself asks for is a cause at its line") {
  Folder folder;
  struct {
    const char *from, *to, *cause;
  } rows[] = {
      {"context: 1000", "context: 2000", ":5: context of 'chat' 1000 -> 2000"},
      {"batch: 8", "batch: 16", ":6: batch of 'chat' 8 -> 16"},
      {"batch: 8", "batch: 8\n    kv-dtype: fp8", ":7: kv-dtype of 'chat' unset -> fp8"},
      {"model: small", "model: other", ":3: model of 'chat' small -> other"},
  };
  Catalog catalog = catalog_of_text(catalogue);
  Answers before = answer_all(scenario_file(folder, scenarios), catalog);
  for (const auto& row : rows) {
    INFO(row.to);
    ScenarioFile file = scenario_file(folder, replaced(scenarios, row.from, row.to));
    Check check = compare(before, answer_all(file, catalog), {file, catalog, true}, "baseline.json");
    REQUIRE(check.causes.size() == 1);
    CHECK(check.causes[0].text() == file.path + row.cause);
  }
}

TEST_CASE("a model file is a cause by its path") {
  Folder folder;
  std::string config = R"({"model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 32000})";
  std::string asks = replaced(scenarios, "model: small", "model: config.json");
  folder.write("config.json", config);
  ScenarioFile file = scenario_file(folder, asks);
  Catalog catalog = catalog_of_text(catalogue);
  Answers before = answer_all(file, catalog);
  REQUIRE(before.by_name.at("chat").error == "");
  folder.write("config.json", replaced(config, "\"num_hidden_layers\": 32", "\"num_hidden_layers\": 16"));
  Check check = compare(before, answer_all(file, catalog), {file, catalog, true}, "baseline.json");
  REQUIRE(check.causes.size() == 1);
  CHECK(check.causes[0].text() == (folder.path / "config.json").string() + ": config.json layers[0].count 32 -> 16");
}

TEST_CASE("what no input explains is kvroof's own doing") {
  Folder folder;
  ScenarioFile file = scenario_file(folder, scenarios);
  Catalog catalog = catalog_of_text(catalogue);
  Answers now = answer_all(file, catalog), before = now;
  before.version = "0.0.9";
  *before.by_name.at("chat").figures[0] += 1024;  // as if a scale of the format had been dropped since
  Check check = compare(before, now, {file, catalog, true}, "baseline.json");
  REQUIRE(check.causes.size() == 1);
  CHECK(check.causes[0].text() == "kvroof itself 0.0.9 -> " + now.version);
  CHECK(find(check, "chat", "kv_token")->outcome == Finding::better);

  // And beside a change of the catalogue, each gets its own share.
  Catalog changed = catalog_of_text(replaced(catalogue, "q_heads: 32, kv_heads: 8", "q_heads: 32, kv_heads: 16"));
  check = compare(before, answer_all(file, changed), {file, changed, true}, "baseline.json");
  REQUIRE(check.causes.size() == 2);
  const MetricCheck* m = find(check, "chat", "kv_token");
  REQUIRE(m->attribution.effects.size() == 2);
  CHECK(*m->attribution.effects[0].change == 131072);
  CHECK(*m->attribution.effects[1].change == -1024);
  CHECK(m->attribution.together == 0);
}

TEST_CASE("tolerances: shares, units, signs and directions") {
  const Judged &tpot = *find_judged("tpot"), &fits = *find_judged("fits"), &weights = *find_judged("weights");
  struct {
    const Judged& metric;
    const char* tolerance;
    double before, now;
    Verdict verdict;
  } rows[] = {
      {tpot, "exact", 10e-3, 10e-3, Verdict::same},
      {tpot, "exact", 10e-3, 10e-3 * (1 + 1e-10), Verdict::same},  // floating point
      {tpot, "exact", 10e-3, 10e-3 * (1 + 1e-8), Verdict::worse},
      {tpot, "2%", 10e-3, 10.2e-3, Verdict::within},
      {tpot, "2%", 10e-3, 10.3e-3, Verdict::worse},
      {tpot, "2%", 10e-3, 9.7e-3, Verdict::better},
      {tpot, "1ms", 10e-3, 11e-3, Verdict::within},
      {tpot, "-1ms", 10e-3, 30e-3, Verdict::within},  // may fall by 1 ms and rise by any amount
      {tpot, "-1ms", 10e-3, 8e-3, Verdict::better},
      {tpot, "+1ms", 10e-3, 1e-3, Verdict::within},
      {tpot, "+1ms", 10e-3, 12e-3, Verdict::worse},
      {fits, "exact", 54, 53, Verdict::worse},
      {fits, "-1", 54, 53, Verdict::within},
      {fits, "-1", 54, 52, Verdict::worse},
      {fits, "-1", 54, 99, Verdict::within},
      {weights, "1GiB", 10e9, 11e9, Verdict::within},
      {weights, "exact", 10e9, 10e9 + 1, Verdict::worse},
  };
  for (const auto& row : rows) {
    INFO(row.metric.name << " " << row.tolerance << " " << row.before << " -> " << row.now);
    CHECK(judge(row.metric, parse_tolerance(row.metric, row.tolerance), row.before, row.now) == row.verdict);
  }
}

TEST_CASE("budgets hold or not, in the metric's own words") {
  struct {
    const char *metric, *budget;
    double value;
    bool met;
  } rows[] = {
      {"fits", "64 sequences", 64, true},
      {"fits", "64 sequences", 63, false},
      {"tpot", "< 30ms", 30e-3, false},
      {"tpot", "<= 30ms", 30e-3, true},
      {"tpot", "30ms", 31e-3, false},
      {"cost", "< 2.00/Mtok", 1.99, true},
      {"cost", "$2", 2.01, false},
      {"kv_room", ">= 20GiB", 2e10, false},
      {"throughput", "1500 tok/s", 1500, true},
      {"max_tokens", "400k tokens", 409600, true},
  };
  for (const auto& row : rows) {
    INFO(row.metric << " " << row.budget << " at " << row.value);
    CHECK(parse_budget(*find_judged(row.metric), row.budget).met(row.value) == row.met);
  }
}

TEST_CASE("outcomes: warnings pass, budgets and coming or going do not") {
  Folder folder;
  std::string slower = replaced(catalogue, "bandwidth: 2 TB/s", "bandwidth: 1.9 TB/s");
  auto with = [&](const std::string& lines) { return replaced(scenarios, "batch: 8\n", "batch: 8\n" + lines); };
  std::string all = "    tolerances: {tpot: 10%, low: 10%, high: 10%, throughput: 10%, cost: 10%, floor: 10%}\n";
  auto outcome = [&](const std::string& lines) {
    for (const ScenarioCheck& s : check_of(folder, catalogue, slower, with(lines)).scenarios)
      if (s.name == "chat") return s.outcome;
    return Finding::same;
  };
  CHECK(outcome("") == Finding::worse);
  CHECK(outcome(all) == Finding::within);
  CHECK(outcome(replaced(all, "{tpot: 10%", "{tpot: 1%")) == Finding::worse);
  CHECK(outcome(replaced(all, "{tpot: 10%", "{tpot: {error: 1%, direction: higher}")) == Finding::within);
  CHECK(outcome(replaced(all, "{tpot: 10%", "{tpot: {error: 1%, direction: lower}")) == Finding::worse);
  CHECK(outcome(replaced(all, "{tpot: 10%", "{tpot: {direction: higher}")) == Finding::within);
  CHECK(outcome(replaced(all, "{tpot: 10%", "{tpot: {direction: lower}")) == Finding::worse);  // exact the other way
  CHECK(outcome(replaced(all, "{tpot: 10%", "{tpot: {}")) == Finding::worse);
  CHECK(outcome(all + "    budgets: {tpot: < 1ms}\n") == Finding::broken);
  Check warned = check_of(folder, catalogue, slower, with(replaced(all, "{tpot: 10%", "{tpot: {warn: 1%}")));
  CHECK(find(warned, "chat", "tpot")->warned);
  CHECK(find(warned, "chat", "tpot")->outcome == Finding::within);
  CHECK(!find(warned, "chat", "floor")->warned);

  // A budget fails whether or not anything moved; one on a figure that does not arise is not met.
  Check still = check_of(folder, catalogue, catalogue, with("    budgets: {fits: 10000 sequences}\n"));
  CHECK(still.count(Finding::broken) == 1);
  CHECK(check_of(folder, catalogue, catalogue, with("    budgets: {ttft: < 1s}\n")).count(Finding::broken) == 1);

  struct {
    const char *asked, *missing;
  } none[] = {
      {"    context: 1000\n    budgets: {ttft: < 1s}\n", "needs a load (input, output, concurrency or rate)"},
      {"    context: 300k\n    budgets: {tpot: < 1s}\n", "it does not fit"},
      {"    rate: 5000/s\n    budgets: {ttft: < 1s}\n", "the load can't be served"},
  };
  for (const auto& row : none) {
    Check check =
        check_of(folder, catalogue, catalogue, replaced(scenarios, "    context: 1000\n    batch: 8\n", row.asked));
    REQUIRE(check.count(Finding::broken) == 1);
    CHECK(check.scenarios[0].metrics[0].missing == row.missing);
  }
  std::string unpriced = replaced(catalogue, "    price: {per_hour: 2, source: me}\n", "");
  Check priceless = check_of(folder, unpriced, unpriced, with("    budgets: {cost: < 1}\n"));
  CHECK(sentence_of(priceless.scenarios[0].metrics[0]) ==
        "cost budget missed: - -> -, the price is not known, asked for < 1");

  // Scenarios only one side has.
  ScenarioFile two = scenario_file(folder, scenarios);
  Catalog catalog = catalog_of_text(catalogue);
  Answers both = answer_all(two, catalog), one = both;
  one.by_name.erase("load");
  CHECK(compare(one, both, {two, catalog, true}, "baseline.json").count(Finding::added) == 1);
  ScenarioFile first = scenario_file(folder, scenarios.substr(0, scenarios.find("  - name: load")));
  Check gone = compare(both, answer_all(first, catalog), {first, catalog, true}, "baseline.json");
  CHECK(gone.count(Finding::gone) == 1);
  CHECK(!gone.passes());
}

TEST_CASE("a baseline reads back, in a stable order, and says what is wrong with it") {
  Folder folder;
  ScenarioFile file = scenario_file(folder, scenarios);
  Catalog catalog = catalog_of_text(catalogue);
  Answers answers = answer_all(file, catalog);
  std::string path = (folder.path / "baseline.json").string(), text = baseline_text(answers);
  write_baseline(path, answers);
  Answers back = read_baseline(path);
  CHECK(baseline_text(back) == text);
  CHECK(compare(back, answers, {file, catalog, true}, path).passes());
  std::reverse(file.scenarios.begin(), file.scenarios.end());
  CHECK(baseline_text(answer_all(file, catalog)) == text);

  std::string hint = "\n  'kvroof check SCENARIOS --update' writes it anew\n";
  auto message = [&](const std::string& content) -> std::string {
    folder.write("baseline.json", content);
    try {
      read_baseline(path);
    } catch (const InputError& e) { return e.message; }
    return "";
  };
  CHECK(message("") == path + ":1: is empty" + hint);
  CHECK(message("{") == path + ":1: ends in the middle; it was cut off" + hint);
  CHECK(message(text.substr(0, text.size() / 2)).find("ends in the middle; it was cut off") != std::string::npos);
  CHECK(message("{\n]") == path + ":2: is not valid JSON" + hint);
  CHECK(message("{\"a\": 1e999}") == path + ": holds the number '1e999', which is too large" + hint);
  CHECK(message("{\n<<<<<<< HEAD\n") == path + ":2: holds the marks of a merge conflict" + hint);
  for (const char* other : {"[]", "{\"schema_version\": 1}", "{\"schema_version\": 1, \"command\": 3}"})
    CHECK(message(other) == path + ": is not a baseline of 'kvroof check'" + hint);
  CHECK(message(replaced(text, "\"schema_version\": 1", "\"schema_version\": 2")) ==
        path + ": has schema_version 2, this kvroof reads 1; a newer kvroof wrote it" + hint);
  CHECK(message(replaced(text, "\"schema_version\": 1", "\"schema_version\": 0")) ==
        path + ": has schema_version 0, this kvroof reads 1" + hint);
  CHECK(message(replaced(text, "\"max_sequences\": " + std::to_string(i64(*answers.by_name.at("chat").figures[5])),
                         "\"max_sequences\": 999")) ==
        path + ": scenario 'chat' or what it rests on was edited by hand (its digest says so)" + hint);
  CHECK(message(replaced(text, "\"kv_heads\": 8", "\"kv_heads\": 4")) ==
        path + ": scenario 'chat' or what it rests on was edited by hand (its digest says so)" + hint);
  CHECK(message(replaced(text, "\"models\"", "\"model\"")).find(": is not a baseline's content: ") !=
        std::string::npos);
  fs::remove(path);
  CHECK_THROWS_AS(read_baseline(path), InputError);
}

TEST_CASE("scenarios that share all but their users answer as each alone") {
  Folder folder;
  Catalog catalog = catalog_of_text(catalogue);
  std::vector<std::string> entries;
  for (const char* load :
       {"", "    concurrency: 16\n", "    concurrency: 300\n", "    rate: 2/s\n", "    rate: 5000/s\n",
        "    input: 1k\n", "    input: 1k\n    rate: 2/s\n", "    concurrency: 16\n    tp: 2\n"})
    entries.push_back("  - name: s" + std::to_string(entries.size()) + "\n    model: other\n    hardware: card\n" +
                      load);
  std::string all = "scenarios:\n";
  for (const std::string& entry : entries) all += entry;
  Answers together = answer_all(scenario_file(folder, all), catalog);
  REQUIRE(together.by_name.size() == entries.size());
  for (const std::string& entry : entries) {
    INFO(entry);
    Answers alone = answer_all(scenario_file(folder, "scenarios:\n" + entry), catalog);
    const auto& [name, answer] = *alone.by_name.begin();
    CHECK(answer.error.empty());
    CHECK(answer.figures == together.by_name.at(name).figures);
  }
  CHECK(together.by_name.at("s1").figures != together.by_name.at("s2").figures);
  InputTexts texts(together);
  for (const auto& [name, answer] : together.by_name) CHECK(texts(answer) == together.inputs_of(answer).dump());
}

TEST_CASE("a baseline is never seen half-written") {
  Folder folder;
  ScenarioFile file = scenario_file(folder, scenarios);
  Catalog catalog = catalog_of_text(catalogue);
  Answers answers = answer_all(file, catalog);
  std::string path = (folder.path / "baseline.json").string();
  write_baseline(path, answers);
  std::thread writer([&] {
    for (int i = 0; i < 200; ++i) write_baseline(path, answers);
  });
  for (int i = 0; i < 200; ++i) CHECK_NOTHROW(read_baseline(path));
  writer.join();
  CHECK(std::distance(fs::directory_iterator(folder.path), fs::directory_iterator()) == 2);  // nothing left beside it

  fs::path link = folder.path / "link.json";
  fs::create_symlink("baseline.json", link);
  write_baseline(link.string(), answers);
  CHECK(fs::is_symlink(link));
  std::string nowhere = (folder.path / "no" / "baseline.json").string();
  CHECK_THROWS_AS(write_baseline(nowhere, answers), InputError);
}

TEST_CASE("a scenario file's problems come all at once, each at its place") {
  Folder folder;
  std::string path = folder.write("scenarios.yaml", R"(tolerances: {tpott: 2%}
scenarios:
  - name: a
    model: small
    hardwar: card
    kv_dtype: fp8
    budgets: {fits: 64 GiB, tpot: 30}
    tolerances: {tpot: {wran: 2%}, fits: 2ms}
  - name: a
    model: small
    hardware: card
)");
  auto message = [&]() -> std::string {
    try {
      read_scenarios(path);
    } catch (const InputError& e) { return e.message; }
    return "";
  };
  std::string said;  // with the path as F, and without the lines and carets, which have their own test
  std::istringstream in(message());
  for (std::string line; std::getline(in, line);)
    if (line.find(" | ") == std::string::npos)
      said += (line.rfind(path, 0) == 0 ? "F" + line.substr(path.size()) : line) + "\n";
  CHECK(said == R"(F:1:14: unknown metric 'tpott'
  did you mean 'tpot'?
F:5:5: unknown key 'hardwar' in a scenario
  did you mean 'hardware'?
F:6:5: unknown key 'kv_dtype' in a scenario
  did you mean 'kv-dtype'?
F:7:21: fits: '64 GiB' is not a whole number such as 4096, 32k or 1M
F:7:35: tpot: '30' has no unit; expected a time such as 30ms
F:8:25: unknown key 'wran' in a tolerance
  did you mean 'warn'?
F:8:42: fits: '2ms' is not a whole number such as 4096, 32k or 1M
F:3:5: missing key 'hardware' in a scenario
F:9:5: the name 'a' is already that of line 3
)");
  // Keys given twice, a metric by two names, a direction said twice in whichever order.
  auto problems = [&](const std::string& text) {
    folder.write("scenarios.yaml", text);
    std::string found;
    std::istringstream lines(message());
    for (std::string line; std::getline(lines, line);)
      if (line.find(" | ") == std::string::npos)
        found += line.substr(line.rfind(path, 0) == 0 ? path.size() : 0) + "\n";
    return found;
  };
  std::string one = "scenarios:\n  - name: a\n    model: small\n    hardware: card\n";
  CHECK(problems(one + "    context: 1k\n    tp: 2\n    context: 2k\n") ==
        ":7:5: key 'context' is given already on line 5\n");
  CHECK(problems(one + "    prefix-caching: yes\n    tp: ''\n") ==
        ":5:21: expected true or false for 'prefix-caching'\n:6:9: expected one value for 'tp'\n");
  CHECK(problems(one + "scenarios: []\n").rfind(":5:1: key 'scenarios' is given already on line 1\n", 0) == 0);
  CHECK(problems(one + "    budgets:\n      fits: 3\n      tpot: 1s\n      fits: 4\n") ==
        ":8:7: key 'fits' is given already on line 6\n");
  CHECK(problems(one + "    budgets:\n      fits: 3\n      max_sequences: 4\n") ==
        ":7:7: 'max_sequences' and 'fits' on line 6 are one metric\n");
  CHECK(problems("tolerances: {tpot: 1%, tpot_seconds: 2%}\n" + one) ==
        ":1:24: 'tpot_seconds' and 'tpot' on line 1 are one metric\n");
  CHECK(problems(one + "    tolerances: {tpot: {error: -5ms, direction: lower}}\n") ==
        ":5:49: the sign of '-5ms' says a direction already\n  give one of them\n");
  CHECK(problems(one + "    tolerances: {tpot: {direction: lower, error: -5ms}}\n") ==
        ":5:36: the sign of '-5ms' says a direction already\n  give one of them\n");
  CHECK(problems(",a: 1\n") == ":1:1: not valid YAML: nothing begins with this\n");
  CHECK(problems("---\n,\n") == ":2:1: not valid YAML: nothing begins with this\n");
  CHECK(problems(one + "---\nscenarios: []\n") ==
        ":6:1: a second document\n  expected one; take out the '---' above\n");
  // A mapping that is named twice by its anchor is read once.
  CHECK(problems("tolerances: &t {tpot: 1%}\n" + one + "    tolerances: *t\n") == "");
  for (const auto& [text, wrong] :
       {std::pair("scenarios: 3\n", ":1:12: expected 'scenarios:' followed by a list of at least one"),
        {"scenarios: []\n", ":1:12: expected 'scenarios:' followed by a list of at least one"},
        {"- a\n", ":1:1: expected 'scenarios:' followed by a list"},
        {"scenarios:\n  - name: \"\xff\"\n", ": is not text in UTF-8"},
        {"", ": is empty"}}) {
    folder.write("scenarios.yaml", text);
    CHECK(message().rfind(path + wrong + "\n", 0) == 0);
  }
}

TEST_CASE("reports survive any name") {
  Folder folder;
  std::string name = "100%, a: b\n<c> & \"d\" | e";
  std::string text = replaced(scenarios, "name: chat", "name: \"100%, a: b\\n<c> & \\\"d\\\" | e\"");
  Check check = check_of(folder, catalogue, replaced(catalogue, "count: 32", "count: 33"), text);
  REQUIRE(find(check, name, "weights"));
  std::string annotations = check_annotations(check);
  CHECK(annotations.rfind("::error file=mine.yaml,line=8,title=100%25%2C a%3A b%0A<c> & \"d\" | e::", 0) == 0);
  CHECK(annotations.find("%0Abecause mine.yaml:8: small layers[0].count 32 -> 33\n") != std::string::npos);
  CHECK(std::count(annotations.begin(), annotations.end(), '\n') == 2);
  std::string junit = check_junit(check);
  CHECK(junit.find("name=\"100%, a: b&#10;&lt;c&gt; &amp; &quot;d&quot; | e\"") != std::string::npos);
  CHECK(junit.find("tests=\"2\" failures=\"1\" errors=\"0\"") != std::string::npos);
  // XML 1.0 has no U+FFFE, U+FFFF or control characters, not even as references.
  std::string odd = replaced(scenarios, "name: chat", R"(name: "\uFFFE \uFFFF \u0001 \t é")");
  junit = check_junit(check_of(folder, catalogue, catalogue, odd));
  std::string no = "\uFFFD";
  CHECK(junit.find("name=\"" + no + no + no + " " + no + no + no + " " + no + " &#9; é\"") != std::string::npos);
  CHECK(check_markdown(check).find("| 100%, a: b <c> & \"d\" \\| e |") != std::string::npos);
}

TEST_CASE("ten annotations of a kind, and markdown that fits a comment") {
  Folder folder;
  std::string many = "scenarios:\n";
  for (int i = 0; i < 2000; ++i)
    many += "  - {name: a scenario with a rather long name to be told apart by its number " + std::to_string(i) +
            ", model: small, hardware: card, context: " + std::to_string(1000 + i) + "}\n";
  Check check = check_of(folder, catalogue, replaced(catalogue, "count: 32", "count: 33"), many);
  CHECK(check.count(Finding::worse) == 2000);
  std::string annotations = check_annotations(check);
  CHECK(std::count(annotations.begin(), annotations.end(), '\n') == 11);
  CHECK(check_markdown(check).size() < 65536);
  // Twelve metrics of each move, and 200 rows are shown.
  CHECK(check_markdown(check).find("\n\nand 23,800 more; 'kvroof check --all' shows them\n") != std::string::npos);
}

}  // namespace
}  // namespace kvroof
