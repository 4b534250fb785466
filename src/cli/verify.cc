// `kvroof verify LOG…`: a serving engine's own figures beside those predicted for the run its log records.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "cli/commands.h"
#include "cli/describe.h"
#include "cli/log_check.h"
#include "cli/options.h"
#include "render/number.h"

namespace kvroof {
namespace {

struct VerifyOptions {
  OutputOptions output;
  CatalogOptions catalog;
  std::vector<std::string> logs;
  std::string model, hardware;
};

struct Checked {
  std::string file;
  EngineLog log;
  LogSetup setup;
  LogCheck check;
};

std::string figure(LoggedUnit unit, double value, double half_step) {
  if (unit == LoggedUnit::bytes) return size({value});
  if (unit == LoggedUnit::times) return fmt::format("{:.{}f}x", value, half_step > 0 ? 2 : 0);
  return count(value);
}

std::string predicted_figure(const Comparison& row) {
  std::string low = figure(row.unit, row.low, row.logged.half_step),
              high = figure(row.unit, row.high, row.logged.half_step);
  if (low == high) return low;
  if (row.tie == Tie::exact && row.low == 0) return "at most " + high;  // a stage whose room is not logged may bind
  // Whole ranges belong to the interval; what differs little is said once, rounded.
  return row.unit == LoggedUnit::bytes ? figure(row.unit, row.predicted(), 0) : low + " to " + high;
}

std::string verdict(const Comparison& row) {
  if (row.tie == Tie::modelled) return "modelled";
  if (row.tie == Tie::weights) return row.agrees() ? "within 2 %" : "off";
  return row.agrees() ? "inside" : "outside";
}

std::string difference(const Comparison& row) {
  double share = row.difference();
  if (row.tie == Tie::exact && row.agrees()) return "-";
  return fmt::format("{}{} %", share > 0 ? "+" : "", significant(share * 100, 2));
}

const char* key_of(LoggedUnit unit) {
  return unit == LoggedUnit::bytes ? "bytes" : unit == LoggedUnit::tokens ? "count" : "times";
}

std::string layout_of(const Deployment& d) {
  std::string text;
  if (d.tp > 1) text += fmt::format(", tp {}", d.tp);
  if (d.pp > 1) text += fmt::format(", pp {}", d.pp);
  return text;
}

/// Where the run was and how it was laid out, in one line.
std::string run_words(const Checked& c) {
  const LogSetup& s = c.setup;
  std::string text = fmt::format("{}{}{}: {}", name_of(c.log.engine), c.log.first_generation ? " V0" : "",
                                 c.log.version.empty() ? "" : " " + c.log.version, s.model.name);
  if (s.sized)
    text += fmt::format(" on {} x {} ({})", s.d.tp * s.d.pp, s.device.name, size(s.device.memory[0].capacity));
  text += layout_of(s.d) + fmt::format(", {} tokens", count(double(s.w.context)));
  if (c.log.engine != LogEngine::vllm && c.log.engine != LogEngine::sglang) return text;  // formats: in the rows
  return text + fmt::format(", {} weights, {} KV cache", weight_format_of(s.model, s.d), cache_format_of(s.d.cache));
}

void add_blocks(Document& doc, const Checked& c) {
  doc.blocks.push_back(Heading{c.file});
  doc.blocks.push_back(Paragraph{run_words(c)});
  Table table{{"<quantity", "logged", "predicted", "difference", "<verdict"}, {}};
  for (const Comparison& row : c.check.rows)
    table.rows.push_back({row.quantity, figure(row.unit, row.logged.value, row.logged.half_step), predicted_figure(row),
                          difference(row), verdict(row)});
  if (table.rows.empty())
    doc.blocks.push_back(Paragraph{"The log gives no figure that could be compared."});
  else
    doc.blocks.push_back(table);
  Notes failures, notes;
  failures.lines = c.check.failures;
  if (!failures.lines.empty()) {
    doc.blocks.push_back(Heading{"What did not fit"});
    doc.blocks.push_back(failures);
  }
  for (const Comparison& row : c.check.rows)
    if (!row.cause.empty()) notes.lines.push_back(row.quantity + ": " + row.cause);
  auto of_room = [](const Comparison& row) { return row.tie == Tie::exact && row.unit == LoggedUnit::tokens; };
  if (std::any_of(c.check.rows.begin(), c.check.rows.end(), of_room))
    notes.lines.emplace_back("KV tokens and concurrency are what the logged room should hold, to the block");
  notes.lines.insert(notes.lines.end(), c.check.notes.begin(), c.check.notes.end());
  if (c.log.starts > 1)
    notes.lines.push_back(fmt::format("the log holds {} starts; the last is compared", c.log.starts));
  if (notes.lines.empty()) return;
  doc.blocks.push_back(Heading{"Notes"});
  doc.blocks.push_back(notes);
}

Json json_of(const Checked& c) {
  Json rows = Json::array();
  for (const Comparison& row : c.check.rows) {
    Json r = {{"quantity", row.quantity},       {"unit", key_of(row.unit)},
              {"logged", row.logged.value},     {"logged_half_step", row.logged.half_step},
              {"predicted_low", row.low},       {"predicted_high", row.high},
              {"difference", row.difference()}, {"verdict", verdict(row)}};
    if (!row.cause.empty()) r["likely_cause"] = row.cause;
    rows.push_back(r);
  }
  Json j = {{"file", c.file},
            {"engine", name_of(c.log.engine)},
            {"version", c.log.version},
            {"model", c.setup.model.id},
            {"hardware", c.setup.device.id},
            {"tp", c.setup.d.tp},
            {"pp", c.setup.d.pp},
            {"context", c.setup.w.context},
            {"weights", weight_format_of(c.setup.model, c.setup.d)},
            {"kv_dtype", cache_format_of(c.setup.d.cache)},
            {"agrees", c.check.agrees()},
            {"rows", rows},
            {"did_not_fit", c.check.failures},
            {"notes", c.check.notes}};
  return j;
}

void add_csv(Table& csv, const Checked& c) {
  for (const Comparison& row : c.check.rows)
    csv.rows.push_back({c.file, std::string(name_of(c.log.engine)), c.log.version, c.setup.model.id, row.quantity,
                        key_of(row.unit), fmt::format("{:.12g}", row.logged.value), fmt::format("{:.12g}", row.low),
                        fmt::format("{:.12g}", row.high), fmt::format("{:.6g}", row.difference()), verdict(row),
                        row.cause});
}

Checked check_file(const std::string& file, const VerifyOptions& o, const Catalog& catalog) {
  EngineLog log = read_engine_log_file(file);
  if (log.engine == LogEngine::none)
    throw InputError{file + ": no line of vLLM, SGLang, TensorRT-LLM or llama.cpp found\n"};
  LogSetup setup = setup_of(log, file, o.model, o.hardware, catalog);
  LogCheck check = check_log(log, setup);
  return {file, std::move(log), std::move(setup), std::move(check)};
}

int run(const VerifyOptions& o) {
  Catalog catalog = catalog_of(o.catalog);
  Document doc;
  doc.json = {{"schema_version", 1}, {"command", "verify"}, {"logs", Json::array()}};
  doc.csv.columns = {"file",   "engine",        "version",        "model",      "quantity", "unit",
                     "logged", "predicted_low", "predicted_high", "difference", "verdict",  "likely_cause"};
  bool agrees = true;
  for (const std::string& file : o.logs) {
    Checked checked = check_file(file, o, catalog);
    agrees = agrees && checked.check.agrees() && !checked.check.rows.empty();
    add_blocks(doc, checked);
    doc.json["logs"].push_back(json_of(checked));
    add_csv(doc.csv, checked);
  }
  doc.json["agrees"] = agrees;
  print(doc, o.output);
  return agrees ? 0 : 1;
}

}  // namespace

void add_verify(CommandLine& line) {
  auto o = std::make_shared<VerifyOptions>();
  line.examples =
      "  kvroof verify server.log\n"
      "  kvroof verify a.log b.log --format csv\n"
      "  kvroof verify trtllm.log --model llama-3.1-8b --hardware h100-sxm\n\n"
      "Exit code 0: exact figures inside their rounding and weights within 2 %; 1: not;\n"
      "2: no engine's log, or bad input.";
  line.option("log", &o->logs, "logs of vLLM, SGLang, TensorRT-LLM or llama.cpp").required().metavar("LOG...");
  line.option("--model", &o->model, "the model, where the log doesn't name it").metavar("MODEL");
  line.option("--hardware", &o->hardware, "the device, where the log doesn't name it").metavar("HARDWARE");
  add_options(line, o->catalog);
  add_options(line, o->output);
  line.run = [o] { return run(*o); };
}

}  // namespace kvroof
