#include "cli/scenario.h"

#include <iterator>
#include <set>

#include "catalog/text_file.h"

namespace kvroof {
namespace {

/// yaml-cpp's iterator gives a type that can't be taken apart.
std::vector<std::pair<YAML::Node, YAML::Node>> pairs_of(const YAML::Node& mapping) {
  std::vector<std::pair<YAML::Node, YAML::Node>> pairs;
  for (const auto& pair : mapping) pairs.emplace_back(pair.first, pair.second);
  return pairs;
}

/// Reads one file's mappings into scenarios; problems go to the source.
struct ScenarioReader {
  Source& source;
  const std::vector<Option>& options;

  void unknown_key(const YAML::Node& key, std::span<const ScenarioKey> keys, const std::string& where,
                   std::vector<std::string> known = {}) {
    for (const ScenarioKey& k : keys) known.emplace_back(k.name);
    std::optional<std::string> near = nearest(key.Scalar(), known);
    source.problem(key.Mark(), "unknown key '" + key.Scalar() + "' " + where,
                   near ? "did you mean '" + *near + "'?" : "");
  }

  /// The words of a mapping that have named a metric.
  using Given = std::map<const Judged*, YAML::Node>;

  const Judged* metric(const YAML::Node& key, Given& given) {
    if (const Judged* found = key.IsScalar() ? find_judged(key.Scalar()) : nullptr) {
      auto [first, fresh] = given.try_emplace(found, key);
      if (!fresh && first->second.Scalar() != key.Scalar())
        source.problem(key.Mark(), "'" + key.Scalar() + "' and '" + first->second.Scalar() + "' on line " +
                                       std::to_string(source.line_of(first->second.Mark())) + " are one metric");
      return found;
    }
    std::vector<std::string> names;
    std::string list;
    for (const Judged& m : judged()) {
      names.emplace_back(m.name);
      list += (list.empty() ? "" : ", ") + std::string(m.name);
    }
    std::string name = key.IsScalar() ? key.Scalar() : "";
    std::optional<std::string> near = nearest(name, names);
    source.problem(key.Mark(), "unknown metric '" + name + "'",
                   near ? "did you mean '" + *near + "'?" : "expected one of " + list);
    return nullptr;
  }

  /// Reports what the parser of one value throws at that value.
  template <class Parse>
  void attempt(const YAML::Node& node, Parse parse) {
    if (!node.IsScalar()) return source.problem(node.Mark(), "expected one value");
    try {
      parse(node.Scalar());
    } catch (const InputError& e) {
      source.problem(node.Mark(), e.message.substr(0, e.message.find_last_not_of('\n') + 1));
    }
  }

  bool is_mapping(const YAML::Node& node, const std::string& example) {
    if (!node.IsMap()) source.problem(node.Mark(), "expected a mapping such as " + example);
    return node.IsMap();
  }

  Tolerance tolerance(const Judged& of, const YAML::Node& node) {
    Tolerance t;
    if (!node.IsMap()) {
      attempt(node, [&](const std::string& text) { t = parse_tolerance(of, text); });
      return t;
    }
    std::optional<YAML::Node> sign, direction;  // whose meaning must not hang on the order of the keys
    bool has_warn = false, has_error = false;
    for (const auto& pair : pairs_of(node)) {
      const YAML::Node &key = pair.first, &value = pair.second;
      std::string name = key.IsScalar() ? key.Scalar() : "";
      if (name == "warn") {
        has_warn = true;
        attempt(value, [&](const std::string& text) { t.warn = parse_allowance(of, text); });
      } else if (name == "error") {
        has_error = true;
        attempt(value, [&](const std::string& text) {
          Tolerance one = parse_tolerance(of, text);
          t.error = one.error;
          if (one.direction == Direction::both) return;
          t.direction = one.direction;
          sign.emplace(value);
        });
      } else if (name == "direction") {
        direction.emplace(value);
      } else {
        unknown_key(key, tolerance_keys, "in a tolerance");
      }
    }
    if (direction) attempt(*direction, [&](const std::string& text) { t.direction = parse_direction(text); });
    if (direction && sign)
      source.problem(direction->Mark(), "the sign of '" + sign->Scalar() + "' says a direction already",
                     "give one of them");
    t.error.unlimited = has_warn && !has_error;  // `{warn: 2%}` never fails
    return t;
  }

  void tolerances(const YAML::Node& node, std::map<const Judged*, Tolerance>& found) {
    if (!is_mapping(node, "{tpot: 2%}")) return;
    Given given;
    for (const auto& [key, value] : pairs_of(node))
      if (const Judged* m = metric(key, given)) found[m] = tolerance(*m, value);
  }

  void budgets(const YAML::Node& node, std::vector<Budget>& found) {
    if (!is_mapping(node, "{fits: 64 sequences, tpot: < 30ms}")) return;
    Given given;
    for (const auto& [key, value] : pairs_of(node))
      if (const Judged* m = metric(key, given))
        attempt(value, [&](const std::string& text) { found.push_back(parse_budget(*m, text)); });
  }

  void option(const YAML::Node& key, const YAML::Node& value, Scenario& scenario) {
    const std::string& name = key.Scalar();
    auto found = std::find_if(options.begin(), options.end(), [&](const Option& o) { return o.longs[0] == name; });
    if (found == options.end()) {
      std::vector<std::string> known;
      for (const Option& o : options) known.push_back(o.longs[0]);
      return unknown_key(key, scenario_keys, "in a scenario", known);
    }
    if (found->is_flag() && !(value.IsScalar() && (value.Scalar() == "true" || value.Scalar() == "false")))
      return source.problem(value.Mark(), "expected true or false for '" + name + "'");
    if (value.IsSequence() && found->repeated()) {
      Json list = Json::array();
      for (const YAML::Node& item : value) list.push_back(item.IsScalar() ? item.Scalar() : "");
      scenario.options[name] = list;
    } else if (value.IsScalar() && !value.Scalar().empty()) {
      scenario.options[name] = value.Scalar();
    } else {
      return source.problem(value.Mark(), "expected one value for '" + name + "'");
    }
    scenario.option_lines[name] = key.Mark().line + 1;
  }

  Scenario scenario(const YAML::Node& node, const std::map<const Judged*, Tolerance>& of_all) {
    Scenario s;
    s.line = node.Mark().line + 1;
    s.tolerances = of_all;
    if (!is_mapping(node, "{name: …, model: …, hardware: …}")) return s;
    std::set<std::string> seen;
    for (const auto& [key, value] : pairs_of(node)) {
      std::string name = key.IsScalar() ? key.Scalar() : "";
      seen.insert(name);
      if (name == "name")
        attempt(value, [&](const std::string& text) { s.name = text; });
      else if (name == "budgets")
        budgets(value, s.budgets);
      else if (name == "tolerances")
        tolerances(value, s.tolerances);
      else
        option(key, value, s);
    }
    for (const char* needed : needed_keys)
      if (!seen.count(needed)) source.problem(node.Mark(), "missing key '" + std::string(needed) + "' in a scenario");
    return s;
  }
};

CommandLine line_of(SetupOptions& setup) {
  CommandLine line;
  add_options(line, setup);
  return line;
}

}  // namespace

ScenarioFile read_scenarios(const std::string& path) {
  std::string text = read_text_file(path, "scenarios");
  Source source(path, text);
  YAML::Node root = load_yaml(source, text);
  OptionReader options;
  ScenarioReader reader{source, options.options()};
  ScenarioFile file{path, {}};
  if (!root.IsMap()) source.problem(root.Mark(), "expected 'scenarios:' followed by a list"), source.throw_if_any();
  std::map<const Judged*, Tolerance> of_all;
  YAML::Node list;
  for (const auto& [key, value] : pairs_of(root))
    if (key.Scalar() == "tolerances")
      reader.tolerances(value, of_all);
    else if (key.Scalar() == "scenarios")
      list.reset(value);
    else
      reader.unknown_key(key, file_keys, "in a file of scenarios");
  if (!list || !list.IsSequence() || list.size() == 0)
    source.problem(list ? list.Mark() : root.Mark(), "expected 'scenarios:' followed by a list of at least one"),
        source.throw_if_any();
  std::map<std::string, int> lines;
  for (const YAML::Node& node : list) {
    file.scenarios.push_back(reader.scenario(node, of_all));
    const Scenario& s = file.scenarios.back();
    auto [first, fresh] = lines.try_emplace(s.name, s.line);
    if (!fresh && !s.name.empty())
      source.problem(node.Mark(), "the name '" + s.name + "' is already that of line " + std::to_string(first->second));
  }
  source.throw_if_any();
  return file;
}

OptionReader::OptionReader() : line_(line_of(setup_)), reader_(line_) {}

SetupOptions OptionReader::read(const Json& options) {
  std::vector<std::string> arguments;
  auto add = [&](const std::string& name, const std::string& text) { arguments.push_back("--" + name + "=" + text); };
  for (const auto& [name, value] : options.items()) {
    if (name == "model" || name == "hardware") continue;
    if (value.is_array())
      for (const Json& item : value) add(name, item.get<std::string>());
    else
      add(name, value.get<std::string>());
  }
  arguments.push_back("--");
  for (const char* name : {"model", "hardware"}) arguments.push_back(options.value(name, ""));
  setup_ = {};
  reader_.read(std::move(arguments));
  return setup_;
}

}  // namespace kvroof
