// The schemas themselves; tests/schema.sh holds them against a validator and the readers.
#include <catch2/catch.hpp>
#include <set>

#include "catalog/meanings.h"
#include "catalog/schema.h"
#include "cli/scenario.h"
#include "cli/schemas.h"

namespace {

using namespace kvroof;

constexpr std::string_view sections[] = {"models", "devices", "classes", "kernels", "ranges", "engines"};

/// Every property of a schema with its name.
template <class Visit>
void each_property(const Json& rule, Visit visit) {
  if (rule.is_array())
    for (const Json& one : rule) each_property(one, visit);
  if (!rule.is_object()) return;
  for (const auto& [key, value] : rule.items()) {
    if (key == "properties")
      for (const auto& [name, property] : value.items()) visit(name, property);
    each_property(value, visit);
  }
}

TEST_CASE("every key of the catalogue says what it means, and no meaning is left over") {
  Json schema = catalogue_schema("all", sections);
  std::set<std::string> mute, told;
  int properties = 0;
  each_property(schema, [&](const std::string& name, const Json& property) {
    ++properties;
    if (property.contains("description"))
      told.insert(property["description"].get<std::string>());
    else if (name != "kind" && name != "bf16" && name != "fp16" && name != "fp32" && name != "tf32" && name != "fp8" &&
             name != "int8" && name != "fp4")
      mute.insert(name);
  });
  CHECK(properties > 200);
  CHECK(mute == std::set<std::string>());
  for (const Meaning& m : meanings()) {
    INFO(m.path);
    auto says = [&](const std::string& text) { return text.rfind(m.what, 0) == 0; };
    CHECK(std::any_of(told.begin(), told.end(), says));
  }
}

TEST_CASE("a meaning is found by the longest end of a path") {
  CHECK(meaning_of("models.layers.attention.sliding.window") == "tokens seen and kept");
  CHECK(meaning_of("models.layers.other_weights") != meaning_of("models.other_weights"));
  CHECK(meaning_of("models.layers.feed_forward.moe.width") == "intermediate size of one expert");
  CHECK(meaning_of("nothing.of.the.kind.here").empty());
}

TEST_CASE("a scenario's schema has the options of estimate, and the words of budgets and tolerances") {
  Json schema = scenarios_schema();
  const Json& properties = schema["definitions"]["scenario"]["properties"];
  OptionReader reader;
  CHECK(reader.options().size() > 30);
  for (const Option& option : reader.options()) CHECK(properties.contains(option.longs[0]));
  CHECK(properties.size() == reader.options().size() + std::size(scenario_keys));
  CHECK(schema["definitions"]["scenario"]["required"] == Json({"name", "model", "hardware"}));
  for (const Judged& j : judged()) {
    CHECK(schema["definitions"]["budgets"]["properties"].contains(j.name));
    CHECK(schema["definitions"]["tolerances"]["properties"].contains(j.key));
  }
}

}  // namespace
