#include "cli/baseline.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "catalog/text_file.h"
#include "core/hash.h"

namespace kvroof {
namespace {

namespace fs = std::filesystem;

constexpr i64 schema = 1;

std::string digest_of(const std::string& text) { return fmt::format("{:016x}", fnv1a(text)); }

/// Whole numbers without a point.
Json number(double value) {
  if (value == std::floor(value) && std::abs(value) < 9e15) return i64(value);
  return value;
}

Json figures_json(const Figures& figures) {
  Json out = Json::object();
  for (std::size_t i = 0; i < figures.size(); ++i)
    if (figures[i]) out[judged()[i].key] = number(*figures[i]);
  return out;
}

Json answer_json(const Answer& a, InputTexts& inputs) {
  Json out = {{"options", a.options}, {"engine", a.engine}, {"basis", a.basis}, {"metrics", figures_json(a.figures)}};
  out["digest"] = digest_of(out.dump() + inputs(a));
  return out;
}

/// Adds a key that is known to be new: an ordered object looks through all it has for each that is set by name.
void append(Json& object, const std::string& key, Json value) {
  static_cast<std::vector<std::pair<const std::string, Json>>&>(object.get_ref<Json::object_t&>())
      .emplace_back(key, std::move(value));
}

Json object_of(const std::map<std::string, Json>& records) {
  Json out = Json::object();
  for (const auto& [name, record] : records) append(out, name, record);
  return out;
}

[[noreturn]] void refuse(const std::string& path, const std::string& what) {
  throw InputError{path + ": " + what + "\n  'kvroof check SCENARIOS --update' writes it anew\n"};
}

std::string read_text(const std::string& path) {
  std::error_code error;
  if (!fs::exists(path, error)) refuse(path, "there is no baseline yet");
  return read_text_file(path, "a baseline");
}

/// As Json::parse reads it, with the scenarios appended one by one.
Json parse_all(const std::string& text) {
  std::string section, name;
  std::vector<std::pair<std::string, Json>> scenarios;
  Json root = Json::parse(text, [&](int depth, Json::parse_event_t event, Json& parsed) {
    bool key = event == Json::parse_event_t::key;
    if (key && depth == 1) section = parsed.get<std::string>();
    if (key && depth == 2) name = parsed.get<std::string>();
    if (section != "scenarios" || depth != 2 || event != Json::parse_event_t::object_end) return true;
    scenarios.emplace_back(name, std::move(parsed));
    return false;
  });
  for (auto& [key, scenario] : scenarios) append(root["scenarios"], key, std::move(scenario));
  return root;
}

Json parse(const std::string& path, const std::string& text) {
  try {
    return parse_all(text);
  } catch (const Json::parse_error& e) {
    std::size_t line =
        1 + std::size_t(std::count(text.begin(), text.begin() + i64(std::min(text.size(), e.byte)), '\n'));
    std::string_view start(text);
    bool conflict = start.find("\n<<<<<<< ") != start.npos || start.rfind("<<<<<<< ", 0) == 0;
    refuse(fmt::format("{}:{}", path, line), text.empty()           ? "is empty"
                                             : conflict             ? "holds the marks of a merge conflict"
                                             : e.byte > text.size() ? "ends in the middle; it was cut off"
                                                                    : "is not valid JSON");
  } catch (const Json::out_of_range& e) {  // [...] number overflow parsing '1e999'
    std::string_view said = e.what(), number = said.substr(std::min(said.find('\''), said.size()));
    refuse(path, fmt::format("holds the number {}, which is too large", number));
  }
}

void check_schema(const std::string& path, const Json& root) {
  if (!root.is_object() || !root.contains("schema_version") || !root.contains("command") || root["command"] != "check")
    refuse(path, "is not a baseline of 'kvroof check'");
  if (!root["schema_version"].is_number_integer()) refuse(path, "schema_version is not a number");
  i64 found = root["schema_version"];
  if (found > schema)
    refuse(path, fmt::format("has schema_version {}, this kvroof reads {}; a newer kvroof wrote it", found, schema));
  if (found < schema) refuse(path, fmt::format("has schema_version {}, this kvroof reads {}", found, schema));
}

Figures figures_of(const Json& json) {
  Figures figures;
  for (const Judged& m : judged())
    figures.push_back(json.contains(m.key) ? std::optional(json.at(m.key).get<double>()) : std::nullopt);
  return figures;
}

std::map<std::string, Json> records_of(const Json& json) {
  std::map<std::string, Json> records;
  for (const auto& [name, record] : json.items()) records.emplace(name, record);
  return records;
}

/// The file's content; what has another shape throws JSON's own errors.
Answers answers_of(const std::string& path, const Json& root) {
  Answers all;
  all.version = root.at("kvroof");
  all.models = records_of(root.at("models"));
  all.devices = records_of(root.at("devices"));
  all.engines = records_of(root.at("engines"));
  all.ranges = records_of(root.at("ranges"));
  InputTexts inputs(all);
  for (const auto& [name, json] : root.at("scenarios").items()) {
    Answer a;
    a.options = json.at("options");
    a.engine = json.at("engine");
    a.basis = json.at("basis");
    a.figures = figures_of(json.at("metrics"));
    Json content = json;
    content.erase("digest");
    if (json.at("digest") != digest_of(content.dump() + inputs(a)))
      refuse(path, "scenario '" + name + "' or what it rests on was edited by hand (its digest says so)");
    all.by_name.emplace(name, a);
  }
  return all;
}

}  // namespace

std::string baseline_text(const Answers& all) {
  Json root = {{"schema_version", schema}, {"command", "check"}, {"kvroof", all.version}};
  root["scenarios"] = Json::object();
  InputTexts inputs(all);
  Json& scenarios = root["scenarios"];
  for (const auto& [name, a] : all.by_name) append(scenarios, name, answer_json(a, inputs));
  root["models"] = object_of(all.models);
  root["devices"] = object_of(all.devices);
  root["engines"] = object_of(all.engines);
  root["ranges"] = object_of(all.ranges);
  return root.dump(1) + "\n";
}

Answers read_baseline(const std::string& path) {
  Json root = parse(path, read_text(path));
  check_schema(path, root);
  try {
    return answers_of(path, root);
  } catch (const Json::exception& e) { refuse(path, std::string("is not a baseline's content: ") + e.what()); }
}

void write_baseline(const std::string& path, const Answers& answers) {
  std::error_code error;
  fs::path target = fs::is_symlink(path, error) ? fs::canonical(path, error) : fs::path(path);
  if (error) target = path;
  fs::path aside = target;
  aside += fmt::format(".{}.new", getpid());
  bool written;
  {
    std::ofstream out(aside, std::ios::binary);
    out << baseline_text(answers) << std::flush;
    written = bool(out);
  }
  if (written) fs::rename(aside, target, error);
  if (written && !error) return;
  std::error_code ignored;
  fs::remove(aside, ignored);
  throw InputError{path + ": can't be written\n"};
}

}  // namespace kvroof
