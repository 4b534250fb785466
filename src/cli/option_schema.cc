#include <algorithm>

#include "catalog/catalog.h"
#include "catalog/schema.h"
#include "cli/schemas.h"

namespace kvroof {
namespace {

Json number_or(const std::string& pattern) {
  return {{"type", {"number", "string"}}, {"minimum", 0}, {"pattern", "^" + pattern + "$"}};
}

Json reference(const char* definition) { return {{"$ref", std::string("#/definitions/") + definition}}; }

/// By what --help calls a value. What is not here may be any text: a list, a path, a policy.
constexpr struct {
  const char* value;
  Json (*rule)();
} kinds[] = {
    {"TOKENS", [] { return number_or(count_pattern()); }},
    {"N", [] { return number_or(count_pattern()); }},
    {"N[,...]", [] { return number_or(count_pattern() + "(," + count_pattern() + ")*"); }},
    {"SHARE", [] { return number_or(share_pattern()); }},
    {"RATE", [] { return number_or(decimal_pattern() + "(/s)?"); }},
    {"SIZE",
     [] {
       return Json{{"type", "string"}, {"pattern", "^" + quantity_pattern(bytes_dimension) + "$"}};
     }},
    {"TIME",
     [] {
       return Json{{"type", "string"}, {"pattern", "^" + quantity_pattern(seconds_dimension) + "$"}};
     }},
    {"FORMAT", [] { return reference("format"); }},
    {"MODEL", [] { return reference("models"); }},
    {"HARDWARE", [] { return reference("hardware"); }},
    {"ENGINE", [] { return reference("engines"); }},
};

Json value_rule(const Option& option) {
  if (option.value.empty()) return {{"type", "boolean"}};
  if (!option.choices.empty()) return {{"enum", option.choices}};
  for (const auto& kind : kinds)
    if (option.value == kind.value) return kind.rule();
  return one_value_schema();
}

/// Names an editor offers; others pass, since a file or another catalogue may have them.
Json names_of(std::string_view section) {
  return {{"anyOf", {{{"enum", Catalog::built_in().ids(section)}}, one_value_schema()}}};
}

}  // namespace

Json option_schema(const Option& option) {
  Json rule = value_rule(option);
  if (option.repeated()) rule = {{"anyOf", {rule, {{"type", "array"}, {"items", rule}}}}};
  if (rule.contains("$ref")) rule = {{"allOf", Json::array({rule})}};  // draft-07 reads nothing beside a $ref
  rule["description"] = option.what;
  return rule;
}

Json option_definitions() {
  return {{"format", format_schema()},
          {"models", names_of("models")},
          {"hardware", names_of("devices")},
          {"engines", names_of("engines")}};
}

}  // namespace kvroof
