#include "cli/answers.h"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <future>
#include <memory>
#include <sstream>
#include <thread>

#include "cli/model_source.h"
#include "cli/version.h"

namespace kvroof {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t worth_a_thread = 200;  ///< scenarios

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
  const Device& device(HardwareOptions o) {
    std::string name = o.device;
    if (is_device_file(name)) o.device = beside(file.path, name);
    auto found = devices.find(name);
    if (found == devices.end()) found = devices.emplace(name, find_device(o, catalog)).first;
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

  /// Whether all that is asked for by name is there to be read.
  bool has_all(const SetupOptions& o) const {
    auto is_model = [&](const std::string& name) {
      std::error_code error;
      std::string path = model_file(file, name, catalog);
      return path.empty() || fs::exists(path, error);
    };
    auto is_device = [&](const std::string& name) {
      std::error_code error;
      return is_device_file(name) ? fs::exists(beside(file.path, name), error) : catalog.has("devices", name);
    };
    return is_model(o.model.model) && (o.draft.empty() || is_model(o.draft)) && is_device(o.hardware.device) &&
           (o.layout.engine.empty() || catalog.has("engines", o.layout.engine));
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

/// A setup with all that the number of its users does not change.
class Prepared {
 public:
  Prepared(Setup setup, const std::optional<Load>& load) : setup_(std::move(setup)), memory_(setup_.memory()) {
    if (!memory_.fits) return;
    step_ = setup_.step();
    if (load)
      server_.emplace(setup_.model, setup_.device, setup_.d, setup_.engine, *load, setup_.capacity(*load), setup_.range,
                      setup_.anchor);
  }

  Figures figures(const std::optional<Load>& load) {
    std::optional<Serving> serving = server_ && load ? std::optional((*server_)(*load, setup_.d.dp)) : std::nullopt;
    if (serving && !serving->stable) serving.reset();
    Outcome outcome{setup_, memory_, step_ ? &*step_ : nullptr, serving ? &*serving : nullptr};
    Figures figures;
    for (const Judged& j : judged()) {
      std::optional<double> value = j.metric->number(outcome);
      bool bytes = value && j.metric->measure == Measure::bytes;  // whole, as everywhere outside the arithmetic
      figures.push_back(bytes ? std::round(*value) : value);
    }
    return figures;
  }

 private:
  Setup setup_;
  Memory memory_;
  std::optional<Step> step_;
  std::optional<Server> server_;  ///< refers to the setup
};

/// Scenarios of one part of the file, answered one after the other.
struct Answerer {
  Lookup lookup;
  OptionReader reader = {};
  Answers all = {};
  std::map<std::string, std::unique_ptr<Prepared>> prepared = {};

  static constexpr std::size_t most_prepared = 128;  ///< a server remembers its steps, so not all of them are kept

  /// Whatever the number of users or their rate.
  static std::string question_of(const Scenario& scenario, bool loaded) {
    Json question = scenario.options;
    question.erase("concurrency");
    question.erase("rate");
    return question.dump() + (loaded ? "+" : "");
  }

  Prepared& prepare(const Scenario& scenario, const SetupOptions& o, const Device& device, Basis basis,
                    const std::optional<Load>& load) {
    std::string question = question_of(scenario, load.has_value());
    auto found = prepared.find(question);
    if (found != prepared.end()) return *found->second;
    Specs specs{lookup.model(o.model.model), device, lookup.engine(o.layout, device), lookup.range(basis), {}};
    if (!o.draft.empty()) specs.draft = lookup.model(o.draft);
    if (prepared.size() >= most_prepared) prepared.clear();
    return *(prepared[question] = std::make_unique<Prepared>(setup_of(o, specs), load));
  }

  /// Fills in what it gets to; throws InputError with the fault set to what it means.
  void answer(const Scenario& scenario, Answer& a) {
    a.fault = Fault::unreadable;
    SetupOptions o = reader.read(scenario.options);
    if (!lookup.has_all(o)) a.fault = Fault::absent;
    const Device& device = lookup.device(o.hardware);
    Basis basis = basis_of(o, device);
    const Engine& engine = lookup.engine(o.layout, device);
    a.engine = engine.id;
    a.basis = name_of(basis);
    if (!o.draft.empty()) keep(all.models, o.draft, lookup.model(o.draft));
    keep(all.models, o.model.model, lookup.model(o.model.model));
    keep(all.devices, o.hardware.device, device);
    keep(all.engines, a.engine, engine);
    keep(all.ranges, a.basis, lookup.range(basis));
    a.fault = Fault::unanswerable;
    std::optional<Load> load = load_of(o);
    a.loaded = load.has_value();
    a.figures = prepare(scenario, o, device, basis, load).figures(load);
    a.fault = Fault::none;
  }
};

/// The scenarios from `begin` to `end`; what can't be answered carries its error.
Answers answer_some(const ScenarioFile& file, const Catalog& catalog, std::size_t begin, std::size_t end) {
  Answerer answerer{{file, catalog}};
  auto& by_name = answerer.all.by_name;
  for (std::size_t i = begin; i < end; ++i) {
    const Scenario& s = file.scenarios[i];
    Answer& a = by_name[s.name];
    a.options = s.options;
    try {
      answerer.answer(s, a);
    } catch (const InputError& e) { a.error = e.message; }
  }
  return std::move(answerer.all);
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

/// Name and value of each input; `shared` when other answers rest on the same record.
template <class Take>
void each_input(const Answers& all, const Answer& answer, Take take) {
  auto named = [&](const char* option) { return answer.options.value(option, ""); };
  Json range = record(all.ranges, answer.basis);
  range["basis"] = answer.basis;
  take("options", answer.options, false);
  take("model", record(all.models, named("model")), true);
  take("device", record(all.devices, named("hardware")), true);
  take("engine", record(all.engines, answer.engine), true);
  take("range", range, false);
  if (answer.options.contains("draft")) take("draft", record(all.models, named("draft")), true);
}

}  // namespace

Json Answers::inputs_of(const Answer& answer) const {
  Json inputs = Json::object();
  each_input(*this, answer, [&](const char* name, const Json& value, bool) { inputs[name] = value; });
  return inputs;
}

std::string InputTexts::operator()(const Answer& answer) {
  std::string out;
  each_input(all_, answer, [&](const char* name, const Json& value, bool shared) {
    out += (out.empty() ? "{\"" : ",\"") + std::string(name) + "\":";
    if (!shared) {
      out += value.dump();
      return;
    }
    std::string& text = texts_[&value];
    if (text.empty()) text = value.dump();
    out += text;
  });
  return out + "}";
}

Figures figures_of(const Setup& setup, const std::optional<Load>& load) { return Prepared(setup, load).figures(load); }

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

void Unanswered::add(const Scenario& scenario, const std::string& error) {
  std::vector<const Scenario*>& stopped = scenarios_[error];
  if (stopped.empty()) errors_.push_back(error);
  stopped.push_back(&scenario);
}

void Unanswered::throw_if_any() const {
  std::string message;
  for (const std::string& error : errors_) {
    const std::vector<const Scenario*>& stopped = scenarios_.at(error);
    std::istringstream lines(error);
    for (std::string line; std::getline(lines, line);)
      message +=
          (line.starts_with(' ') ? "" : fmt::format("{}:{}: '{}': ", file_.path, stopped[0]->line, stopped[0]->name)) +
          line + "\n";
    if (std::size_t more = stopped.size() - 1; more > 0)
      message += fmt::format("  and {} more scenario{}\n", more, more == 1 ? "" : "s");
  }
  if (!message.empty()) throw InputError{message};
}

void throw_unanswered(const ScenarioFile& file, const Answers& answers) {
  Unanswered unanswered(file);
  for (const Scenario& s : file.scenarios)
    if (const Answer& a = answers.by_name.at(s.name); a.fault != Fault::none) unanswered.add(s, a.error);
  unanswered.throw_if_any();
}

std::string beside(const std::string& file, const std::string& name) {
  fs::path path = fs::path(file).parent_path() / name;
  std::error_code error;
  return !name.empty() && fs::exists(path, error) ? path.string() : name;
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
