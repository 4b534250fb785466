// Whole checkpoints, one of every class and way of writing: tests/configs.json holds the keys that sizes depend on, as
// each repository's config.json has them, and what comes of them. `published` totals are the checkpoint's own; the
// other figures were counted class by class in another program, or by hand where `because` says how.
//
// The same files, each key in turn broken, then ask the importer for what it promises of any input: a model that
// holds, or one line that names what is wrong.
#include "catalog/hf_config.h"

#include <fstream>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "core/cache.h"
#include "core/parameters.h"

namespace kvroof {
namespace {

using Json = nlohmann::ordered_json;

Json checkpoints() {
  std::ifstream file(KVROOF_SOURCE "/tests/configs.json");
  Json rows = Json::parse(file);
  REQUIRE(rows.size() > 100);
  return rows;
}

/// A sequence's keys, values and states in bf16, states kept in f32 in f32.
double stored_bytes(const Model& m, i64 tokens) {
  Deployment d;
  d.cache.key = d.cache.value = format("bf16");
  double sum = 0;
  for (const LayerGroup& g : m.layers) sum += double(g.count) * layer_stored(g, tokens, d).value;
  return sum;
}

TEST_CASE("checkpoints of every class: weights, keys and values of a token, and what does not grow") {
  for (const Json& row : checkpoints()) {
    INFO(row["name"]);
    ImportedModel found = import_hf_config(row["config"].dump(), row["name"].get<std::string>());
    INFO(found.error);
    REQUIRE(found.model);
    Parameters p = count_parameters(*found.model);
    CHECK(p.total == row["parameters"].get<i64>());
    if (!row["active"].is_null()) CHECK(p.active == row["active"].get<i64>());
    constexpr i64 beyond = 1 << 20;
    double one = stored_bytes(*found.model, 1), token = stored_bytes(*found.model, 2) - one;
    CHECK(token == row["key_value"].get<double>());
    CHECK(stored_bytes(*found.model, beyond + 1) - stored_bytes(*found.model, beyond) ==
          row["beyond_windows"].get<double>());
    CHECK(one - token == row["fixed"].get<double>());
  }
}

/// Ways to be wrong that a key's type alone does not tell.
const Json broken_values[] = {
    nullptr,       true, "word", -1, 0, 1, 3, 2.5, std::int64_t{1} << 62, Json::array(), Json::array({1, "a", nullptr}),
    Json::object()};

struct Asked {
  int models = 0, errors = 0;
  void ask(const Json& config) {
    ImportedModel found = import_hf_config(config.dump(), "org/broken");
    ++(found.model ? models : errors);
    if (found.model) {
      CHECK(found.error.empty());
      CHECK(problems(*found.model).empty());
      CHECK(count_parameters(*found.model).total > 0);
    } else {
      CHECK(found.error.size() > 10);
      CHECK(found.error.find('\n') == std::string::npos);
    }
  }
};

/// Every key of an object and of the objects in it, broken in each way and left out.
void break_each(const Json& root, Json& changed, const Json::json_pointer& at, Asked& asked) {
  const Json node = changed.at(at);
  for (const auto& [key, value] : node.items()) {
    Json::json_pointer place = at / key;
    INFO(place);
    for (const Json& broken : broken_values) {
      changed.at(place) = broken;
      asked.ask(changed);
    }
    changed = root;
    changed.at(at).erase(key);
    asked.ask(changed);
    changed = root;
    if (value.is_object()) break_each(root, changed, place, asked);
    if (value.is_array() && !value.empty()) {
      for (const Json& broken : broken_values) {
        changed.at(place / std::size_t{0}) = broken;
        asked.ask(changed);
      }
      changed = root;
      if (value[0].is_object()) break_each(root, changed, place / std::size_t{0}, asked);
      for (std::size_t length : {std::size_t{1}, value.size() - 1}) {
        Json shorter = Json::array();
        for (std::size_t i = 0; i < length; ++i) shorter.push_back(value[i]);
        changed.at(place) = shorter;
        asked.ask(changed);
      }
      changed = root;
    }
  }
}

TEST_CASE("a config with any key wrong is a model that holds or one line that says why") {
  Asked asked;
  for (const Json& row : checkpoints()) {
    INFO(row["name"]);
    const Json& config = row["config"];
    Json changed = config;
    break_each(config, changed, Json::json_pointer(), asked);
  }
  CHECK(asked.models > 1000);
  CHECK(asked.errors > 5000);
}

}  // namespace
}  // namespace kvroof
