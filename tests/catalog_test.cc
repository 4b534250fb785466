// The catalogue as its readers meet it: nothing is wrong with what is built in, each kind of mistake in a file of one's
// own has its whole message, and an entry with any one thing wrong is either right after all or told where it is not.
#include "catalog/catalog.h"

#include <set>

#include <yaml-cpp/yaml.h>
#include <catch2/catch.hpp>

namespace {

using namespace kvroof;

/// What reading one entry of a user's file says; empty when it is read.
std::string told(const std::string& text, std::string_view section, const std::string& id) {
  try {
    Catalog c = Catalog::built_in();
    c.add_text("F", text);
    if (section == "models") c.model(id);
    if (section == "devices") c.device(id);
    if (section == "engines") c.engine(id);
    if (section == "classes") c.family(id);
    if (section == "kernels") c.device(id);
    if (section == "ranges") c.range(Basis::measured_kernels);
  } catch (const InputError& e) { return e.message; }
  return "";
}

TEST_CASE("nothing is wrong with any built-in entry", "[long]") { CHECK(Catalog::built_in().lint().empty()); }

TEST_CASE("what lint finds: entries that can't be read, and names of two") {
  Catalog c;
  const std::string rest =
      "    name: M\n    family: llama\n    hidden: 64\n    vocab: 100\n    layers: [{count: 1, attention: {kind: "
      "none}, "
      "feed_forward: {kind: gated, width: 8}}]\n    source: s\n    confidence: C\n";
  c.add_text("F", "models:\n  a:\n    aliases: [x, c]\n" + rest + "  b:\n    aliases: [X]\n" + rest + "  c:\n" + rest +
                      "  d:\n    name: D\n");
  std::vector<std::string> found = c.lint();
  REQUIRE(found.size() == 3);
  CHECK(found[0] == "F:11: 'X' names both 'a' and 'b'\n");
  CHECK(found[1] == "F:20: 'c' names both 'a' and 'c'\n");
  CHECK(found[2].starts_with("F:29:5: missing key 'family' in model 'd'\n  29 |     name: D\n     |     ^\n"));
}

/// A small device, with `lines` in it.
std::string device(const std::string& lines) {
  return "devices:\n  d:\n    name: D\n    vendor: V\n    class: gpu\n    source: s\n    confidence: A\n" + lines;
}
std::string memory(const std::string& field) {
  return device("    memory: [{kind: HBM, capacity: 80 GiB, bandwidth: 2 TB/s}]\n" + field);
}

TEST_CASE("each mistake has its whole message") {
  struct Row {
    std::string text, message;
  };
  const std::string line9 = "  9 | ";
  const Row rows[] = {
      {"", "F: is empty\n"},
      {"devices:\n- d\n",
       "F:2:1: expected a section: models, devices, classes, kernels, engines or ranges\n  2 | - d\n    | ^\n"},
      {"devices:\n    d:\n",
       "F:2:5: expected an entry, indented by two spaces\n  2 |     d:\n    |     ^\n  such as '  h100-sxm:' "
       "under 'devices:'\n"},
      {memory("    weights: x\n"), "F:9:5: unknown key 'weights' in device 'd'\n  9 |     weights: x\n    |     ^\n"},
      {memory("    scale_up: true\n"), ""},
      {"devices:\n  - d\n",
       "F:2:3: expected an id and its fields, such as 'h100-sxm:'\n  2 |   - d\n    |   ^\n"
       "  entries are a mapping, not a list\n"},
      {"devices:\n  d: 5\n", "F:2:3: expected 'd:' followed by its fields\n  2 |   d: 5\n    |   ^\n"},
      {memory("    peak: {bf17: 1 PFLOP/s}\n"),
       "F:9:12: unknown arithmetic 'bf17'\n  9 |     peak: {bf17: 1 PFLOP/s}\n    |            ^\n"
       "  expected one of fp32, tf32, fp16, bf16, fp8, int8, fp4\n"},
      {memory("    peak: 5\n"),
       "F:9:11: expected a mapping by arithmetic, such as {bf16: …}\n  9 |     peak: 5\n    |           ^\n"},
      {memory("    peak: {bf16: 3 TB/s}\n"),
       "F:9:18: '3 TB/s' is a bandwidth; expected a rate of arithmetic such as 989 TFLOPS\n"
       "  9 |     peak: {bf16: 3 TB/s}\n    |                  ^\n"},
      {memory("    power: many\n"),
       "F:9:12: expected a power such as 700 W, got 'many'\n  9 |     power: many\n    |            ^\n"},
      {memory("    year: 2022.5\n"),
       "F:9:11: expected a whole number, got '2022.5'\n  9 |     year: 2022.5\n    |           ^\n"},
      {memory("    aliases: e\n"), "F:9:14: expected a list\n  9 |     aliases: e\n    |              ^\n"},
      {memory("    name: E\n"), "F:9:5: key 'name' is given already on line 3\n  9 |     name: E\n    |     ^\n"},
      {memory("    achievable: {basis: guesses}\n"),
       "F:9:25: unknown value 'guesses'\n  9 |     achievable: {basis: guesses}\n    |                         ^\n"
       "  expected one of measured kernels, own end-to-end rows, family default, vendor figures, datasheet only\n"},
      {memory("    achievable: {overlap: some}\n"), ""},
      {memory("    notes: [" + std::string(200, 'n') + "]\n    yeer: 2022\n"),
       "F:10:5: unknown key 'yeer' in device 'd'\n  10 |     yeer: 2022\n     |     ^\n  did you mean 'year'?\n"},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    std::string message = told(row.text, "devices", "d");
    if (row.message.empty())
      CHECK(message.starts_with("F:9:"));
    else
      CHECK(message == row.message);
  }
}

// ---- one thing wrong anywhere --------------------------------------------------------------------------

const char* const broken_values[] = {"~",      "word",   "-1",   "0",  "2.5", "1e30",
                                     "80 GiB", "3 TB/s", "true", "[]", "{}",  "[1, a]"};

/// On one line: `{a: [1, 2]}`.
std::string flow(const YAML::Node& node) {
  if (node.IsMap() || node.IsSequence()) {
    std::string inside;
    for (const auto& part : node) {
      inside += inside.empty() ? "" : ", ";
      inside += node.IsMap() ? part.first.Scalar() + ": " + flow(part.second) : flow(part);
    }
    return node.IsMap() ? "{" + inside + "}" : "[" + inside + "]";
  }
  if (node.IsNull()) return "~";
  bool plain = node.Tag() != "!" && node.Scalar().find_first_of(",[]{}:#'\"&*!|>%@`") == std::string::npos;
  YAML::Emitter out;
  if (plain && !node.Scalar().empty()) return node.Scalar();
  out << YAML::DoubleQuoted << node.Scalar();
  return out.c_str();
}

/// The entry with each top-level field on a line of its own.
std::string entry_text(std::string_view section, const std::string& id, const YAML::Node& fields) {
  std::string text = std::string(section) + ":\n  " + id + ":\n";
  for (const auto& field : fields) text += "    " + field.first.Scalar() + ": " + flow(field.second) + "\n";
  return text;
}

/// Breaks the keys of entries one at a time, each key that means something of its own once: those of a kind of
/// attention or of feed-forward are that kind's.
class OneThingWrong {
 public:
  int asked = 0, refused = 0;

  void try_all(const Entry& e, YAML::Node fields) {
    section_ = e.section;
    id_ = e.id;
    fields_ = fields;
    below(fields_, section_);
  }

 private:
  void below(YAML::Node node, std::string path) {
    if (node.IsMap()) {
      std::vector<std::string> keys;
      for (const auto& field : node) keys.push_back(field.first.Scalar());
      if (node["kind"]) path += "=" + node["kind"].Scalar();
      for (const std::string& key : keys) wrong_in(node, key, path + "/" + key);
    }
    if (node.IsSequence() && node.size() > 0) wrong_in(node, std::size_t{0}, path + "/0");
  }
  template <class Key>
  void wrong_in(YAML::Node parent, Key key, const std::string& path) {
    INFO(id_ << ", " << path);
    if (done_.insert(path).second) {
      const YAML::Node was = YAML::Clone(parent[key]);
      for (const char* broken : broken_values) {
        parent[key] = YAML::Load(broken);
        ask();
      }
      parent.remove(key);
      ask();
      parent[key] = was;
    }
    below(parent[key], path);
  }
  void ask() {
    std::string message = told(entry_text(section_, id_, fields_), section_, id_);
    ++asked;
    if (message.empty()) return;
    ++refused;
    CHECK(message.starts_with("F"));
    CHECK(message.ends_with("\n"));
  }

  std::string section_, id_;
  YAML::Node fields_;
  std::set<std::string> done_;
};

TEST_CASE("an entry with any one thing wrong is read, or told where") {
  OneThingWrong wrong;
  for (const Entry& e : Catalog::built_in().entries()) {
    CAPTURE(e.section, e.id);
    YAML::Node fields = YAML::Load(std::string(e.text))[std::string(e.id)];
    REQUIRE(told(entry_text(e.section, std::string(e.id), fields), e.section, std::string(e.id)) == "");
    wrong.try_all(e, fields);
  }
  CHECK(wrong.asked > 3000);
  CHECK(wrong.refused > wrong.asked / 2);
}

}  // namespace
