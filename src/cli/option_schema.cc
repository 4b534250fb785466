#include <fmt/format.h>

#include <cctype>

#include "catalog/catalog.h"
#include "catalog/schema.h"
#include "cli/schemas.h"

namespace kvroof {
namespace {

constexpr i64 most_count = i64(1) << 40;
constexpr const char* more_than_zero = "(?=[ \\t]*[0.]*[1-9])";

Json number_or(const std::string& pattern) {
  return {{"type", {"number", "string"}}, {"minimum", 0}, {"pattern", "^" + pattern + "$"}};
}

/// A bare count is whole; one with a suffix may be `1.5k`.
Json count_or(const std::string& pattern, i64 least) {
  return {{"anyOf",
           {{{"type", "integer"}, {"minimum", least}, {"maximum", most_count}},
            {{"type", "string"}, {"pattern", "^" + std::string(least > 0 ? more_than_zero : "") + pattern + "$"}}}}};
}

/// Formats as an editor offers them, in capitals too.
Json format_in_any_case() {
  Json names = format_schema()["enum"];
  std::string any;
  for (const Json& name : names) {
    any += any.empty() ? "" : "|";
    for (char c : name.get<std::string>())
      any += std::isalpha(c) ? fmt::format("[{}{}]", c, char(std::toupper(c))) : std::string(1, c);
  }
  return {{"anyOf", {{{"enum", names}}, {{"type", "string"}, {"pattern", "^(" + any + ")$"}}}}};
}

Json any_text() {
  Json rule = one_value_schema();
  rule["minLength"] = 1;
  return rule;
}

Json reference(const char* definition) { return {{"$ref", std::string("#/definitions/") + definition}}; }

/// By what --help calls a value. What is not here may be any text: a list, a path, a policy.
constexpr struct {
  const char* value;
  Json (*rule)();
} kinds[] = {
    {"TOKENS", [] { return count_or(count_pattern(), 1); }},
    {"N", [] { return count_or(count_pattern(), 1); }},
    {"REPLICAS", [] { return count_or(count_pattern(), 0); }},
    {"N[,...]", [] { return count_or(count_pattern() + "(," + more_than_zero + count_pattern() + ")*", 1); }},
    {"SHARE",
     [] {
       Json share = number_or(share_pattern());
       share["maximum"] = 1;
       return share;
     }},
    {"RATE", [] { return number_or(decimal_pattern() + "(/s)?"); }},
    {"[HARDWARE=]PRICE",
     [] {
       Json price = number_or(std::string("([^=]+=)?[$]?") + more_than_zero + decimal_pattern() + "(/h)?");
       price["exclusiveMinimum"] = 0;
       return price;
     }},
    {"SIZE",
     [] {
       return Json{{"type", "string"}, {"pattern", "^" + quantity_pattern(bytes_dimension) + "$"}};
     }},
    {"TIME",
     [] {
       return Json{{"type", "string"}, {"pattern", "^" + quantity_pattern(seconds_dimension) + "$"}};
     }},
    {"FORMAT", [] { return reference("option_format"); }},
    {"MODEL", [] { return reference("models"); }},
    {"HARDWARE", [] { return reference("hardware"); }},
    {"ENGINE", [] { return reference("engines"); }},
};

Json value_rule(const Option& option) {
  if (option.is_flag()) return {{"type", "boolean"}};
  if (!option.choices.empty()) return {{"enum", option.choices}};
  for (const auto& kind : kinds)
    if (option.value == kind.value) return kind.rule();
  return any_text();
}

/// Names an editor offers; others pass, since a file or another catalogue may have them.
Json known(std::string_view section) { return {{"anyOf", {{{"enum", Catalog::built_in().ids(section)}}, any_text()}}}; }

}  // namespace

Json option_schema(const Option& option) {
  Json rule = value_rule(option);
  if (option.repeated()) rule = {{"anyOf", {rule, {{"type", "array"}, {"items", rule}}}}};
  if (rule.contains("$ref")) rule = {{"allOf", Json::array({rule})}};  // draft-07 reads nothing beside a $ref
  rule["description"] = option.what;
  return rule;
}

Json option_definitions() {
  return {{"option_format", format_in_any_case()},
          {"models", known("models")},
          {"hardware", known("devices")},
          {"engines", known("engines")}};
}

}  // namespace kvroof
