#include "catalog/schema.h"
#include "cli/metric_options.h"
#include "cli/scenario.h"
#include "cli/schemas.h"

namespace kvroof {
namespace {

std::string any_of(std::span<const std::string_view> words) {
  std::string out;
  for (std::string_view word : words) out += (out.empty() ? "" : "|") + std::string(word);
  return "(" + out + ")";
}

/// A value of the metric, with the word that may follow it.
std::string value_of(const Judged& j) { return value_pattern(j.metric->measure) + "( *" + any_of(value_words) + ")?"; }

std::string allowance_of(const Judged& j) { return "(exact|" + decimal_pattern() + "%|" + value_of(j) + ")"; }

/// Bytes and times need a unit; other values may be bare numbers, and counts whole ones.
Json scalar(const Judged& j, const std::string& pattern, bool is_signed = false) {
  Json text = {{"type", "string"}, {"pattern", "^" + pattern + "$"}};
  Measure measure = j.metric->measure;
  if (measure == Measure::bytes || measure == Measure::seconds) return text;
  Json bare = {{"type", measure == Measure::count ? "integer" : "number"}};
  if (!is_signed) bare["minimum"] = 0;
  return {{"anyOf", {bare, text}}};
}

Json budget_rule(const Judged& j) { return scalar(j, " *" + any_of(relations) + "? *" + value_of(j)); }

Json tolerance_rule(const Judged& j) {
  Json signed_limit = scalar(j, " *[+-]?" + allowance_of(j) + " *", true), words = {{"enum", direction_words}};
  Json properties;
  for (const ScenarioKey& key : tolerance_keys) {
    std::string name = key.name;
    properties[name] = name == "warn" ? scalar(j, allowance_of(j)) : name == "error" ? signed_limit : words;
    properties[name]["description"] = key.what;
  }
  return {{"anyOf", {signed_limit, {{"type", "object"}, {"properties", properties}, {"additionalProperties", false}}}}};
}

/// A mapping from metrics, by name or key.
Json by_metric(Json (*rule)(const Judged&)) {
  Json properties = Json::object();
  auto add = [&](const std::string& name, const Judged& j) {
    properties[name] = rule(j);
    properties[name]["description"] = j.metric->what;
  };
  for (const Judged& j : judged()) add(j.name, j), add(j.key, j);
  return {{"type", "object"}, {"properties", properties}, {"additionalProperties", false}};
}

Json own_rule(const std::string& name) {
  if (name == "budgets") return {{"$ref", "#/definitions/budgets"}};
  if (name == "tolerances") return {{"$ref", "#/definitions/tolerances"}};
  return one_value_schema();
}

Json described(Json rule, const char* what) {
  if (rule.contains("$ref")) rule = {{"allOf", Json::array({rule})}};
  rule["description"] = what;
  return rule;
}

Json scenario_rule() {
  OptionReader reader;
  Json properties = Json::object();
  for (const ScenarioKey& key : scenario_keys) properties[key.name] = described(own_rule(key.name), key.what);
  for (const Option& option : reader.options()) properties[option.longs[0]] = option_schema(option);
  return {{"type", "object"}, {"properties", properties}, {"required", needed_keys}, {"additionalProperties", false}};
}

}  // namespace

Json scenarios_schema() {
  Json out = schema_head("scenarios of kvroof check",
                         "questions in the words of 'kvroof estimate', with what each answer may do and must meet");
  Json list = {{"type", "array"}, {"minItems", 1}, {"items", {{"$ref", "#/definitions/scenario"}}}};
  for (const ScenarioKey& key : file_keys) {
    std::string name = key.name;
    out["properties"][name] = described(name == "scenarios" ? list : own_rule(name), key.what);
  }
  out["required"] = Json::array({file_keys[0].name});
  out["additionalProperties"] = false;
  out["definitions"] = option_definitions();
  out["definitions"]["scenario"] = scenario_rule();
  out["definitions"]["budgets"] = by_metric(budget_rule);
  out["definitions"]["tolerances"] = by_metric(tolerance_rule);
  return out;
}

}  // namespace kvroof
