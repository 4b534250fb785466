// `kvroof compare CASE CASE...`: estimates side by side, their ratios, and which parts make the difference.
//
// A case is what one writes after `kvroof estimate`; one after the first says only what it does differently.

#include <fmt/format.h>

#include <memory>

#include "cli/commands.h"
#include "cli/describe.h"
#include "cli/metric_options.h"
#include "cli/setup_options.h"
#include "core/difference.h"
#include "render/number.h"

namespace kvroof {
namespace {

struct CompareOptions {
  SetupOptions shared;
  OutputOptions output;
  CatalogOptions catalog;
  std::vector<std::string> cases;
};

/// One column of the comparison.
struct Side {
  std::string letter, text;
  Setup setup;
  Memory memory;
  Step step;  ///< the one asked for; under a load that of a replica's decoding sequences, at their longest
  std::optional<Load> load;
  std::optional<Serving> serving;

  Outcome outcome() const {
    bool fits = memory.fits;
    return {setup, memory, fits ? &step : nullptr, fits && serving && serving->stable ? &*serving : nullptr,
            serving.has_value()};
  }
};

void add_case_options(CommandLine& line, SetupOptions& o) {
  add_shape_options(line, o.model);
  add_what_if_options(line, o.hardware);
  add_price_option(line, o.hardware);
  add_workload_options(line, o, " (default: 1)");
  add_options(line, o.layout);
  add_options(line, o.cache);
}

/// The options of a case: those of `before` with what its text changes.
SetupOptions case_of(const std::string& letter, const std::string& text, const SetupOptions& before,
                     const Catalog& catalog) {
  SetupOptions o = before;
  std::vector<std::string> words;
  CommandLine line;
  line.option("words", &words, "");
  add_case_options(line, o);
  try {
    CommandLineReader(line).read(text);
  } catch (const InputError& e) { throw InputError{fmt::format("case {} '{}': {}", letter, text, e.message)}; }
  if (words.size() > 2)
    throw InputError{fmt::format("case {} '{}': '{}' is one word too many\n", letter, text, words[2])};
  if (words.size() == 2) {
    o.model.model = words[0];
    o.hardware.device = words[1];
  } else if (words.size() == 1) {
    (catalog.has("devices", words[0]) ? o.hardware.device : o.model.model) = words[0];
  }
  if (o.model.model.empty() || o.hardware.device.empty())
    throw InputError{
        fmt::format("case {} '{}': needs a model and a device, such as 'llama-3.1-8b h100-sxm'\n", letter, text)};
  return o;
}

/// An option that no command has is a slip; one with more words behind it in the same argument is a case.
void throw_if_slip(const std::vector<std::string>& cases) {
  for (const std::string& text : cases)
    if (text.starts_with("-") && text.find_first_of(" =") == std::string::npos)
      throw InputError{"unknown option '" + text + "'\n  a case of options alone goes in quotes, such as '--tp 2'\n"};
}

Step step_of(const Setup& setup, const std::optional<Serving>& serving) {
  if (!serving || !serving->stable) return setup.step();
  return setup.step(std::max<i64>(1, std::llround(serving->decoding / double(setup.d.dp))));
}

std::vector<Side> sides_of(const CompareOptions& o, const Catalog& catalog) {
  std::vector<Side> sides;
  SetupOptions first = o.shared;
  for (std::size_t i = 0; i < o.cases.size(); ++i) {
    std::string letter(1, char('A' + i));
    SetupOptions options = case_of(letter, o.cases[i], first, catalog);
    if (i == 0) first = options;
    try {
      Setup setup = setup_of(options, catalog);
      std::optional<Load> load = load_of(options);
      std::optional<Serving> serving;
      if (load) serving = setup.serve(*load);
      sides.push_back({letter, o.cases[i], setup, setup.memory(), step_of(setup, serving), load, serving});
    } catch (const InputError& e) { throw InputError{fmt::format("case {}: {}", letter, e.message)}; }
  }
  return sides;
}

std::string asked_of(const Side& s) {
  if (!s.load)
    return fmt::format("{} tokens, batch {}", count(double(s.setup.w.context)), count(double(s.setup.w.batch)));
  const Load& load = *s.load;
  std::string arriving =
      load.rate > 0 ? significant(load.rate) + " requests/s" : count(load.concurrency) + " requests at a time";
  return fmt::format("{} tokens in, {} out, {}; steps at batch {} and {} tokens", count(double(load.input)),
                     count(double(load.output)), arriving, count(double(s.step.batch)),
                     count(double(s.setup.w.context)));
}

std::string described(const Side& s) {
  const Deployment& d = s.setup.d;
  std::string layout;
  for (auto [name, ranks] : {std::pair("tp", d.tp), std::pair("pp", d.pp), std::pair("dp", d.dp)})
    if (ranks > 1) layout += fmt::format(", {} {}", name, ranks);
  return fmt::format("{} on {} x {}{}, {} weights, {} KV, engine {}, {}", s.setup.model.name, d.devices(),
                     s.setup.device.name, layout, weight_format_of(s.setup.model, d), cache_format_of(d.cache),
                     s.setup.engine.id, asked_of(s));
}

struct ComparePage {
  const std::vector<Side>& sides;
  Document doc = {};

  void head();
  void figures();
  void differences(const Side& b);
  void add_difference(const Side& b, const char* key, const std::string& title, const Difference& d);
};

void ComparePage::head() {
  doc.json = {{"schema_version", 1}, {"command", "compare"}, {"cases", Json::array()}};
  Facts facts;
  for (const Side& s : sides) {
    facts.rows.push_back({s.letter, described(s)});
    Json figures = Json::object();
    for (const Metric& m : metrics()) {
      Cell cell = cell_of(m, s.outcome());
      if (cell.kind == Cell::Kind::word) figures[std::string(m.key)] = std::string(cell.word);
      if (cell.kind == Cell::Kind::number) figures[std::string(m.key)] = Json::parse(data_of(cell));
    }
    doc.json["cases"].push_back({{"case", s.letter},
                                 {"arguments", s.text},
                                 {"model", s.setup.model.id},
                                 {"hardware", s.setup.device.id},
                                 {"metrics", figures}});
  }
  doc.blocks.push_back(facts);
}

std::string printed(const Cell& cell) {
  if (cell.kind == Cell::Kind::absent) return "-";
  if (cell.kind == Cell::Kind::number) return measured(cell.number, cell.measure);
  return std::string(cell.word.substr(0, cell.word.find(' ')));  // memory, compute; measured, family, datasheet
}

void ComparePage::figures() {
  Table table{{"<"}, {}};
  doc.csv.columns = {"metric"};
  for (const Side& s : sides) {
    table.columns.push_back(s.letter);
    doc.csv.columns.push_back(s.letter);
    if (&s != &sides.front()) table.columns.push_back(s.letter + "/A");
  }
  for (const Metric& m : metrics()) {
    std::vector<std::string> row = {std::string(m.name)}, data = {std::string(m.key)};
    Cell first = cell_of(m, sides[0].outcome());
    bool known = false;
    for (const Side& s : sides) {
      Cell cell = cell_of(m, s.outcome());
      known |= cell.kind != Cell::Kind::absent;
      row.push_back(printed(cell));
      data.push_back(data_of(cell));
      bool both = cell.kind == Cell::Kind::number && first.kind == Cell::Kind::number && first.number != 0 &&
                  m.measure != Measure::flag;
      if (&s != &sides.front()) row.push_back(both ? ratio(cell.number / first.number) : "");
    }
    if (!known || (m.name == "shortfall" && sides[0].memory.fits && sides.back().memory.fits)) continue;
    table.rows.push_back(row);
    doc.csv.rows.push_back(data);
  }
  doc.blocks.push_back(Heading{"Side by side"});
  doc.blocks.push_back(table);
}

Json json_of(const Difference& d) {
  Json j = {{"label", d.label}, {"unit", name_of(d.measure)}, {"a", d.a}, {"b", d.b}, {"difference", d.value()}};
  for (const Difference& part : d.parts) j["parts"].push_back(json_of(part));
  return j;
}

void add_rows(Table& table, const Difference& d, double whole, const std::string& indent) {
  if (std::abs(d.value()) <= 1e-9 * std::abs(whole) && !indent.empty()) return;  // the rounding of sums
  std::string change = (d.value() > 0 ? "+" : "") + measured(d.value(), d.measure);
  table.rows.push_back({indent + d.label, measured(d.a, d.measure), measured(d.b, d.measure), change,
                        whole == 0 ? "" : percent(d.value() / whole)});
  table.shares.push_back(whole == 0 ? 0 : d.value() / whole);
  bool tells_more = d.parts.size() > 1 || (d.parts.size() == 1 && indent.empty());
  if (tells_more)
    for (const Difference& part : d.parts) add_rows(table, part, whole, indent + "  ");
}

void ComparePage::add_difference(const Side& b, const char* key, const std::string& title, const Difference& d) {
  doc.blocks.push_back(Heading{title});
  Table table{{"<", "A", b.letter, b.letter + " - A", "share"}, {}};
  add_rows(table, d, d.value(), "");
  doc.blocks.push_back(table);
  doc.json["differences"][b.letter][key] = json_of(d);
}

/// Steps where both fit, and the room for KV.
void ComparePage::differences(const Side& b) {
  const Side& a = sides.front();
  if (a.memory.fits && b.memory.fits) {
    const Step &of_a = a.step, &of_b = b.step;
    Difference d = difference(explain_step(of_a), explain_step(of_b));
    std::string batch = of_a.batch == of_b.batch ? fmt::format(" at batch {}", of_a.batch)
                                                 : fmt::format(" (batch {}, A's {})", of_b.batch, of_a.batch);
    add_difference(b, "step",
                   d.value() == 0 ? fmt::format("{}'s step{} takes as long as A's", b.letter, batch)
                                  : fmt::format("Why {}'s step{} is {} {}", b.letter, batch,
                                                duration({std::abs(d.value())}), d.value() < 0 ? "shorter" : "longer"),
                   d);
    if (a.serving && b.serving && a.serving->stable && b.serving->stable)
      doc.blocks.push_back(
          Paragraph{fmt::format("Beside their steps users wait while prompts are read: {} of A's TPOT, {} of {}'s.",
                                duration(larger(Seconds{}, a.serving->tpot - of_a.expected)),
                                duration(larger(Seconds{}, b.serving->tpot - of_b.expected)), b.letter)});
    // Of one device run by one engine both are wrong in the same direction.
    bool alike = a.setup.device.id == b.setup.device.id && a.setup.engine.id == b.setup.engine.id;
    bool overlap = of_a.low <= of_b.high && of_b.low <= of_a.high;
    if (overlap && !alike && d.value() != 0)
      doc.blocks.push_back(Paragraph{"The 80 % ranges overlap: which of them is faster is likely, not sure."});
  }
  Difference room = difference(explain_memory(a.setup.model, a.setup.device, a.memory),
                               explain_memory(b.setup.model, b.setup.device, b.memory));
  if (room.value() != 0)
    add_difference(b, "kv_room",
                   fmt::format("Why {} has {} {} room for KV on a rank", b.letter, size({std::abs(room.value())}),
                               room.value() < 0 ? "less" : "more"),
                   room);
}

int run(const CompareOptions& o) {
  refuse_yaml(o.output);
  if (o.cases.size() < 2) throw InputError{"compare: needs two cases or more\n"};
  if (o.cases.size() > 26) throw InputError{"compare: takes at most 26 cases; 'kvroof sweep' takes more\n"};
  Catalog catalog = catalog_of(o.catalog);
  std::vector<Side> sides = sides_of(o, catalog);
  ComparePage page{sides};
  page.head();
  page.figures();
  for (std::size_t i = 1; i < sides.size(); ++i) page.differences(sides[i]);
  print(page.doc, o.output);
  return std::all_of(sides.begin(), sides.end(), [](const Side& s) { return s.memory.fits; }) ? 0 : 1;
}

}  // namespace

void add_compare(CommandLine& line) {
  auto o = std::make_shared<CompareOptions>();
  line.examples =
      "  kvroof compare CASE CASE... [OPTIONS]\n\n"
      "  kvroof compare 'llama-3.1-8b h100-sxm' mi300x --batch 32\n"
      "  kvroof compare 'llama-3.1-70b h100-sxm --tp 4' '--kv-dtype fp8' '--tp 2'\n"
      "  kvroof compare 'llama-3.1-8b l40s' qwen3-8b --context 32k --json\n\n"
      "A case is what follows 'kvroof estimate'; a later one says what differs from it,\n"
      "a device or a model alone included. Options outside of the cases are of all.\n"
      "Exit code 0: all fit; 1: one does not; 2: bad input.";
  line.rest = &o->cases;  // one that starts with an option must not be taken for one
  add_case_options(line, o->shared);
  add_price_files_option(line, o->catalog);
  add_options(line, o->catalog);
  add_options(line, o->output);
  line.run = [o] {
    throw_if_slip(o->cases);
    return run(*o);
  };
}

}  // namespace kvroof
