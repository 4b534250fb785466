#include "cli/answers.h"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <future>
#include <sstream>
#include <thread>

#include "cli/model_source.h"
#include "cli/version.h"

namespace kvroof {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t worth_a_thread = 200;  ///< scenarios

/// Paths are beside the file that names them, wherever the program runs.
std::string beside(const std::string& file, const std::string& name) {
  fs::path path = fs::path(file).parent_path() / name;
  std::error_code error;
  return !name.empty() && fs::exists(path, error) ? path.string() : name;
}

/// Looks specs up once, however many scenarios share them.
struct Lookup {
  const ScenarioFile& file;
  const Catalog& catalog;
  std::map<std::string, Model> models = {};
  std::map<std::string, Device> devices = {};
  std::map<std::string, Engine> engines = {};
  std::map<Basis, RangeRule> ranges = {};

  const Model& model(const std::string& name) {
    auto found = models.find(name);
    if (found == models.end()) found = models.emplace(name, find_model(beside(file.path, name), catalog)).first;
    return found->second;
  }
  const Device& device(const HardwareOptions& o) {
    auto found = devices.find(o.device);
    if (found == devices.end()) found = devices.emplace(o.device, find_device(o, catalog)).first;
    return found->second;
  }
  const Engine& engine(const DeploymentOptions& o, const Device& device) {
    std::string name = o.engine + "/" + device.device_class;
    auto found = engines.find(name);
    if (found == engines.end()) found = engines.emplace(name, engine_of(o, device, catalog)).first;
    return found->second;
  }
  const RangeRule& range(Basis basis) {
    auto found = ranges.find(basis);
    if (found == ranges.end()) found = ranges.emplace(basis, catalog.range(basis)).first;
    return found->second;
  }
};

template <class Spec>
void keep(std::map<std::string, Json>& records, const std::string& name, const Spec& spec) {
  if (!records.count(name)) records.emplace(name, record_of(spec));
}

const Json& record(const std::map<std::string, Json>& records, const std::string& name) {
  static const Json none = Json::object();
  auto found = records.find(name);
  return found == records.end() ? none : found->second;
}

Answer answer(const Scenario& scenario, OptionReader& reader, Lookup& lookup, Answers& all) {
  Answer a;
  a.options = scenario.options;
  SetupOptions o = reader.read(scenario.options);
  const Device& device = lookup.device(o.hardware);
  Basis basis = basis_of(o, device);
  Specs specs{lookup.model(o.model.model), device, lookup.engine(o.layout, device), lookup.range(basis), {}};
  if (!o.draft.empty()) keep(all.models, o.draft, *(specs.draft = lookup.model(o.draft)));
  a.engine = specs.engine.id;
  a.basis = name_of(basis);
  a.figures = figures_of(setup_of(o, specs), load_of(o));
  keep(all.models, o.model.model, specs.model);
  keep(all.devices, o.hardware.device, specs.device);
  keep(all.engines, a.engine, specs.engine);
  keep(all.ranges, a.basis, specs.range);
  return a;
}

/// The scenarios from `begin` to `end`; what can't be answered carries its error.
Answers answer_some(const ScenarioFile& file, const Catalog& catalog, std::size_t begin, std::size_t end) {
  Answers all;
  OptionReader reader;
  Lookup lookup{file, catalog};
  for (std::size_t i = begin; i < end; ++i) {
    const Scenario& s = file.scenarios[i];
    try {
      all.by_name.emplace(s.name, answer(s, reader, lookup, all));
    } catch (const InputError& e) {
      Answer failed;
      failed.options = s.options;
      failed.error = e.message;
      all.by_name.emplace(s.name, failed);
    }
  }
  return all;
}

void merge(Answers& all, Answers&& part) {
  all.version = version();
  all.by_name.merge(part.by_name);
  all.models.merge(part.models);
  all.devices.merge(part.devices);
  all.engines.merge(part.engines);
  all.ranges.merge(part.ranges);
}

/// The spec of a record, read once per distinct record.
template <class Spec>
const Spec& read_once(std::map<std::string, Spec>& known, const Json& record, const std::string& where,
                      Spec (*read)(const Json&, const std::string&)) {
  std::string text = record.dump();
  auto found = known.find(text);
  if (found == known.end()) found = known.emplace(text, read(record, where)).first;
  return found->second;
}

}  // namespace

Json Answers::inputs_of(const Answer& answer) const {
  Json range = record(ranges, answer.basis);
  range["basis"] = answer.basis;
  Json inputs = {{"options", answer.options},
                 {"model", record(models, answer.options.value("model", ""))},
                 {"device", record(devices, answer.options.value("hardware", ""))},
                 {"engine", record(engines, answer.engine)},
                 {"range", range}};
  if (answer.options.contains("draft")) inputs["draft"] = record(models, answer.options.value("draft", ""));
  return inputs;
}

Figures figures_of(const Setup& setup, const std::optional<Load>& load) {
  Memory memory = setup.memory();
  std::optional<Step> step = memory.fits ? std::optional(setup.step()) : std::nullopt;
  std::optional<Serving> serving = memory.fits && load ? std::optional(setup.serve(*load)) : std::nullopt;
  if (serving && !serving->stable) serving.reset();
  Outcome outcome{setup, memory, step ? &*step : nullptr, serving ? &*serving : nullptr};
  Figures figures;
  for (const Judged& j : judged()) {
    std::optional<double> value = j.metric->number(outcome);
    bool bytes = value && j.metric->measure == Measure::bytes;  // whole, as everywhere outside the arithmetic
    figures.push_back(bytes ? std::round(*value) : value);
  }
  return figures;
}

Answers answer_all(const ScenarioFile& file, const Catalog& catalog) {
  std::size_t workers = std::max(1u, std::thread::hardware_concurrency());
  std::size_t share = std::max<std::size_t>(worth_a_thread, ceil_div(i64(file.scenarios.size()), i64(workers)));
  std::vector<std::future<Answers>> parts;
  for (std::size_t begin = 0; begin < file.scenarios.size(); begin += share)
    parts.push_back(std::async(std::launch::async, answer_some, std::cref(file), std::cref(catalog), begin,
                               std::min(begin + share, file.scenarios.size())));
  Answers all;
  for (std::future<Answers>& part : parts) merge(all, part.get());
  return all;
}

std::string error_at(const ScenarioFile& file, const Scenario& scenario, const std::string& error) {
  std::string out;
  std::istringstream lines(error);
  for (std::string line; std::getline(lines, line);)
    out += (line.rfind(' ', 0) == 0 ? "" : fmt::format("{}:{}: '{}': ", file.path, scenario.line, scenario.name)) +
           line + "\n";
  return out;
}

std::string model_file(const ScenarioFile& file, const std::string& model, const Catalog& catalog) {
  std::string path = beside(file.path, model);
  std::error_code error;
  if (fs::is_directory(path, error)) return (fs::path(path) / "config.json").string();
  return fs::exists(path, error) ? path : catalog.has("models", model) ? "" : model;
}

Figures Replay::figures(const Json& inputs) {
  Specs specs;
  specs.model = read_once(models_, inputs.at("model"), "model", model_of_record);
  specs.device = read_once(devices_, inputs.at("device"), "device", device_of_record);
  specs.engine = read_once(engines_, inputs.at("engine"), "engine", engine_of_record);
  Json range = inputs.at("range");
  range.erase("basis");
  specs.range = range_of_record(range, "range");
  if (inputs.contains("draft")) specs.draft = read_once(models_, inputs.at("draft"), "draft", model_of_record);
  SetupOptions o = options_.read(inputs.at("options"));
  return figures_of(setup_of(o, specs), load_of(o));
}

}  // namespace kvroof
