#include <algorithm>

#include "catalog/schema.h"
#include "cli/schemas.h"
#include "cli/settings.h"

namespace kvroof {
namespace {

constexpr std::string_view takes_ranges = "sweep";  ///< any of its options may be a list or a range

/// What both commands take: a setting for all of them reaches every one that has the option.
Json both(const Json& a, const Json& b) {
  if (a == b) return a;
  Json out = one_value_schema();
  if (a.contains("enum") && b.contains("enum")) {
    Json shared = Json::array();
    for (const Json& word : a["enum"])
      if (std::find(b["enum"].begin(), b["enum"].end(), word) != b["enum"].end()) shared.push_back(word);
    out = {{"enum", shared}};
  }
  out["description"] = a["description"];
  return out;
}

Json settings_of(const CommandLine& command) {
  Json properties = Json::object();
  for (const Option& option : command.options)
    if (is_setting(option)) {
      bool ranges = command.name == takes_ranges && option.choices.empty() && !option.repeated() && !option.is_flag();
      Json rule = ranges ? one_value_schema() : option_schema(option);
      rule["description"] = option.what;
      for (const std::string& name : option.longs) properties[name] = rule;
    }
  return properties;
}

}  // namespace

Json settings_schema(const std::vector<CommandLine>& commands) {
  Json of_all = Json::object(), of_one = Json::object();
  for (const CommandLine& command : commands) {
    Json own = settings_of(command);
    for (const auto& [name, rule] : own.items()) of_all[name] = of_all.contains(name) ? both(of_all[name], rule) : rule;
    of_one[command.name] = {{"type", "object"},
                            {"description", "for '" + command.name + "' alone: " + command.summary},
                            {"properties", own},
                            {"additionalProperties", false}};
  }
  Json out = schema_head("settings of kvroof (.kvroof.yaml, config.yaml)",
                         "options without their dashes, for all commands or below a command's name for that one");
  for (const auto& [name, rule] : of_one.items())  // a word may be a command and an option
    of_all[name] = of_all.contains(name) ? Json{{"anyOf", {of_all[name], rule}}} : rule;
  out["properties"] = of_all;
  out["additionalProperties"] = false;
  out["type"] = {"object", "null"};  // comments alone set nothing
  out["definitions"] = option_definitions();
  return out;
}

}  // namespace kvroof
