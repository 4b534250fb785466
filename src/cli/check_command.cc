// `kvroof check [SCENARIOS]`: do the scenarios still answer what the committed baseline says, and if not, because of
// what? With --against two catalogues are compared instead, the way a pull request is.
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <iostream>
#include <memory>

#include "catalog/built_in.h"
#include "cli/baseline.h"
#include "cli/check_report.h"
#include "cli/commands.h"

namespace kvroof {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t scenarios_shown = 20;

struct CheckCommand {
  OutputOptions output;
  CatalogOptions catalog;
  std::string scenarios = "scenarios.yaml", baseline, against;
  std::vector<std::string> also;
  bool update = false, all = false;
};

struct CheckFormat {
  const char* name;
  std::string (*write)(const Check& check, const CheckCommand& o);
};

std::string as_document(const Check& check, const CheckCommand& o, OutputFormat format) {
  return render(check_page(check, o.all ? all_rows : scenarios_shown), format, style_of(o.output));
}

constexpr CheckFormat formats_of_check[] = {
    {"text", [](const Check& c, const CheckCommand& o) { return as_document(c, o, OutputFormat::text); }},
    {"json", [](const Check& c, const CheckCommand& o) { return as_document(c, o, OutputFormat::json); }},
    {"csv", [](const Check& c, const CheckCommand& o) { return as_document(c, o, OutputFormat::csv); }},
    {"markdown", [](const Check& c, const CheckCommand&) { return check_markdown(c); }},
    {"junit", [](const Check& c, const CheckCommand&) { return check_junit(c); }},
    {"github", [](const Check& c, const CheckCommand&) { return check_annotations(c); }},
};

std::vector<std::string> format_names() {
  std::vector<std::string> names;
  for (const CheckFormat& f : formats_of_check) names.emplace_back(f.name);
  return names;
}

const CheckFormat& format_called(const std::string& name) {
  for (const CheckFormat& f : formats_of_check)
    if (name == f.name) return f;
  std::vector<std::string> names = format_names();
  std::optional<std::string> near = nearest(name, names);
  throw InputError{"--also: unknown format '" + name + "'" + (near ? "; did you mean '" + *near + "'?" : "") +
                   "\n  expected FORMAT=FILE, such as junit=check.xml\n"};
}

/// `markdown=summary.md`: the same check once more, into a file.
struct AlsoWrite {
  const CheckFormat* format;
  OutputOptions to;
};

std::vector<AlsoWrite> also_of(const CheckCommand& o) {
  std::vector<AlsoWrite> found;
  for (const std::string& text : o.also) {
    std::size_t equals = std::min(text.find('='), text.size());
    AlsoWrite also{&format_called(text.substr(0, equals)), {}};
    also.to.file = text.substr(std::min(equals + 1, text.size()));
    if (also.to.file.empty()) throw InputError{"--also: '" + text + "' names no file\n"};
    found.push_back(also);
  }
  return found;
}

void write_also(const Check& check, const CheckCommand& o, const std::vector<AlsoWrite>& also) {
  for (const AlsoWrite& a : also) {
    CheckCommand plain = o;
    plain.output = a.to;
    write(a.format->write(check, plain), a.to);
  }
}

/// A folder's models.yaml and hardware.yaml stand in for the built-in ones; a file is layered over them.
Catalog other_catalog(const std::string& path) {
  std::error_code error;
  if (!fs::exists(path, error)) throw InputError{"--against: " + path + ": can't be opened\n"};
  if (!fs::is_directory(path, error)) return catalog_of({{path}, {}});
  Catalog catalog;
  bool any = false;
  for (const auto& [name, built_in] :
       {std::pair("models.yaml", built_in_models()), {"hardware.yaml", built_in_hardware()}}) {
    fs::path file = fs::path(path) / name;
    bool there = fs::exists(file, error);
    any |= there;
    if (there)
      catalog.add_file(file.string());
    else
      catalog.add_text(name, std::string(built_in));
  }
  if (!any) throw InputError{"--against: " + path + ": holds neither models.yaml nor hardware.yaml\n"};
  return catalog;
}

std::string baseline_path(const CheckCommand& o) {
  return o.baseline.empty() ? (fs::path(o.scenarios).parent_path() / "baseline.json").string() : o.baseline;
}

/// What is there to compare with; an update may start from nothing.
Answers accepted(const CheckCommand& o) {
  try {
    return read_baseline(baseline_path(o));
  } catch (const InputError&) {
    if (!o.update) throw;
    return {};
  }
}

/// Writes only what differs, so an untouched tree stays untouched.
void update(const std::string& path, const Answers& now) {
  std::ifstream in(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (text != baseline_text(now)) write_baseline(path, now);
}

int run(const CheckCommand& o) {
  if (o.update && !o.against.empty()) throw InputError{"--update: writes the baseline, which --against does without\n"};
  std::vector<AlsoWrite> also = also_of(o);
  bool recorded = o.against.empty();
  std::future<Answers>
      baseline;  // read meanwhile; what is wrong with it is said after what is wrong with the scenarios
  if (recorded) baseline = std::async(std::launch::async, accepted, std::cref(o));
  ScenarioFile file = read_scenarios(o.scenarios);
  Catalog catalog = catalog_of(o.catalog);
  Answers now = answer_all(file, catalog);
  if (o.update) throw_unanswered(file, now);
  Answers before = recorded ? baseline.get() : answer_all(file, other_catalog(o.against));
  Check check = compare(before, now, {file, catalog, recorded}, recorded ? baseline_path(o) : o.against);
  write(format_called(o.output.json ? "json" : o.output.format).write(check, o), o.output);
  write_also(check, o, also);
  if (!o.update) return !check.passes();
  update(baseline_path(o), now);
  int missed = check.count(Finding::broken);
  if (missed > 0)
    std::cerr << fmt::format("kvroof: {} is written, but {} scenario{} a budget; exit code 1\n", baseline_path(o),
                             missed, missed == 1 ? " misses" : "s miss");
  return missed > 0;
}

}  // namespace

void add_check(CommandLine& line) {
  auto o = std::make_shared<CheckCommand>();
  line.examples =
      "  kvroof check reports/scenarios.yaml\n"
      "  kvroof check reports/scenarios.yaml --update\n"
      "  kvroof check scenarios.yaml --catalog mine.yaml --against before.yaml\n"
      "  kvroof check scenarios.yaml --format github --also junit=check.xml\n\n"
      "A scenario: {name: chat, model: llama-3.1-70b, hardware: h100-sxm, tp: 4, any\n"
      "other option of 'estimate', budgets: {fits: 64 sequences, tpot: < 30ms},\n"
      "tolerances: {throughput: {warn: 2%, error: 5%, direction: higher}}}.\n\n"
      "Exit code 0: as before; 1: something moved or a budget is missed; 2: bad input.";
  line.option("scenarios", &o->scenarios, "a YAML file of scenarios (default scenarios.yaml)").metavar("SCENARIOS");
  line.option("--baseline", &o->baseline, "what was accepted (default: baseline.json beside the scenarios)")
      .metavar("FILE");
  line.option("--update", &o->update, "accept what the scenarios answer now: write the baseline");
  line.option("--against", &o->against, "compare with the catalogue of this folder or file, without a baseline")
      .metavar("PATH");
  line.option("--also", &o->also, "write the check to a file as well, such as markdown=summary.md (repeatable)")
      .metavar("FORMAT=FILE")
      .takes_one();
  line.option("--all", &o->all, "show every change, not the worst 20");
  add_options(line, o->catalog);
  add_options(line, o->output, format_names());
  line.run = [o] { return run(*o); };
}

}  // namespace kvroof
