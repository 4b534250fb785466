#include "catalog/reader.h"

#include <cmath>
#include <map>
#include <sstream>

#include <yaml-cpp/eventhandler.h>

#include "catalog/names.h"
#include "catalog/text_file.h"

namespace kvroof {
namespace {

std::string_view line_at(std::string_view text, int line) {
  std::size_t begin = 0;
  for (int i = 0; i < line; ++i) {
    begin = text.find('\n', begin);
    if (begin == std::string_view::npos) return {};
    ++begin;
  }
  return text.substr(begin, text.find('\n', begin) - begin);
}

std::string scalar(const YAML::Node& node) { return node.IsScalar() ? node.Scalar() : std::string(); }

bool is_quoted(const YAML::Node& node) { return node.Tag() == "!"; }

std::string as_given(const std::string& text) {
  return "'" + (text.size() > 60 ? text.substr(0, 57) + "..." : text) + "'";
}

/// Keys given twice in one mapping, of which YAML's reader keeps one. Nodes stand in the order of the text, so one that
/// stands before what was read already is an alias (`*name`), whose keys were seen at its anchor.
class RepeatedKeys {
 public:
  explicit RepeatedKeys(Source& source) : source_(source) {}

  void walk(const YAML::Node& node) {
    if (!(node.IsMap() || node.IsSequence()) || node.Mark().pos <= read_to_) return;
    read_to_ = node.Mark().pos;
    std::map<std::string, Place> seen;
    for (const auto& part : node) {
      if (node.IsMap() && part.first.IsScalar()) given(part.first, seen);
      walk(node.IsMap() ? part.second : YAML::Node(part));
    }
  }

 private:
  void given(const YAML::Node& key, std::map<std::string, Place>& seen) {
    auto [first, fresh] = seen.try_emplace(key.Scalar(), key.Mark());
    if (!fresh)
      source_.problem(key.Mark(), "key " + as_given(key.Scalar()) + " is given already on line " +
                                      std::to_string(source_.line_of(first->second)));
  }

  Source& source_;
  int read_to_ = -1;
};

}  // namespace

std::string Source::where(Place place) const {
  if (place.line < 0) return file_;
  return file_ + ":" + std::to_string(line_of(place)) + ":" + std::to_string(place.column + 1);
}

void Source::problem(Place place, const std::string& what, const std::string& hint) {
  std::string message = where(place) + ": " + what + "\n";
  if (place.line >= 0) {
    std::string line(line_at(text_, place.line));
    int column = place.column;
    if (line.size() > 100) {  // a window around the place
      int from = std::max(0, column - 50);
      line = line.substr(std::size_t(from), 100);
      column -= from;
    }
    std::string number = std::to_string(place.line + first_line_ + 1);
    message += "  " + number + " | " + line + "\n";
    message +=
        "  " + std::string(number.size(), ' ') + " | " + std::string(std::size_t(std::max(0, column)), ' ') + "^\n";
  }
  if (!hint.empty()) message += "  " + hint + "\n";
  problems_.push_back(std::move(message));
}

std::string Source::problems() const {
  std::string all;
  for (const std::string& p : problems_) all += p;
  return all;
}

void Source::throw_if_any() const {
  if (!problems_.empty()) throw InputError{problems()};
}

namespace {

/// Where documents begin, and nothing of what they hold.
class Beginnings : public YAML::EventHandler {
 public:
  YAML::Mark last = YAML::Mark::null_mark();
  void OnDocumentStart(const YAML::Mark& mark) override { last = mark; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}
};

/// yaml-cpp 0.7 makes empty documents for ever of what can't begin one, such as a comma: its parser stays where it is.
void check_progress(const std::string& text) {
  std::istringstream in(text);
  YAML::Parser parser(in);
  Beginnings found;
  for (int before = -1; parser.HandleNextDocument(found); before = found.last.pos)
    if (found.last.pos == before) throw YAML::ParserException(found.last, "nothing begins with this");
}

}  // namespace

YAML::Node load_yaml(Source& source, std::string_view given) {
  std::string text(given);  // what yaml-cpp reads from
  if (text.find('\0') != std::string::npos) throw InputError{source.file() + ": is not text (it holds a zero byte)\n"};
  if (!is_utf8(text)) throw InputError{source.file() + ": is not text in UTF-8\n"};
  try {
    check_progress(text);
    std::vector<YAML::Node> documents = YAML::LoadAll(text);
    if (documents.empty() || documents[0].IsNull()) throw InputError{source.file() + ": is empty\n"};
    for (std::size_t i = 1; i < documents.size(); ++i)
      if (!documents[i].IsNull())
        source.problem(documents[i].Mark(), "a second document", "expected one; take out the '---' above");
    YAML::Node node = documents[0];
    RepeatedKeys(source).walk(node);
    return node;
  } catch (const YAML::Exception& e) {
    source.problem(e.mark, "not valid YAML: " + e.msg);
    throw InputError{source.problems()};
  }
}

std::optional<double> ValueReader::number(const YAML::Node& node, const char* expected, std::string_view unit) {
  std::string text = scalar(node);
  std::string_view rest;
  std::optional<double> found = parse_decimal(text, &rest);
  bool plain = rest.empty() && !is_quoted(node);
  if (found && (plain || (!unit.empty() && rest == unit))) return found;
  source_.problem(node.Mark(), std::string("expected ") + expected + ", got " + as_given(text) +
                                   (is_quoted(node) ? " in quotes" : ""));
  return std::nullopt;
}

void ValueReader::read(const YAML::Node& node, i64& value) {
  std::optional<double> found = number(node, "a whole number");
  if (found && (*found != std::floor(*found) || *found > 9007199254740992.0))
    source_.problem(node.Mark(), "expected a whole number, got " + as_given(scalar(node)));
  else if (found)
    value = i64(*found);
}

void ValueReader::read(const YAML::Node& node, double& value) {
  if (std::optional<double> found = number(node, "a number")) value = *found;
}

void ValueReader::read(const YAML::Node& node, Watts& value) {
  if (std::optional<double> found = number(node, "a power such as 700 W", " W")) value.value = *found;
}

void ValueReader::read(const YAML::Node& node, bool& value) {
  std::string text = scalar(node);
  if (is_quoted(node) || (text != "true" && text != "false"))
    return source_.problem(node.Mark(), "expected true or false, got " + as_given(text));
  value = text == "true";
}

void ValueReader::read(const YAML::Node& node, std::string& value) {
  if (!node.IsScalar()) return source_.problem(node.Mark(), "expected text");
  value = node.Scalar();
}

void ValueReader::read(const YAML::Node& node, Format& value) {
  std::string text = scalar(node);
  if (const Format* found = find_format(text)) {
    value = *found;
    return;
  }
  std::vector<std::string> names;
  for (const Format& f : formats()) names.emplace_back(f.name);
  std::optional<std::string> near = nearest(text, names);
  source_.problem(node.Mark(), "unknown number format " + as_given(text), near ? "did you mean '" + *near + "'?" : "");
}

template <class Enum>
void ValueReader::read_name(const YAML::Node& node, Enum& value) {
  std::string text = scalar(node), list;
  int index = 0;
  for (std::string_view name : Names<Enum>::list) {
    if (name == text) {
      value = Enum(index);
      return;
    }
    list += (index++ ? ", " : "") + std::string(name);
  }
  source_.problem(node.Mark(), "unknown value " + as_given(text), "expected one of " + list);
}

void ValueReader::read(const YAML::Node& node, Confidence& value) { read_name(node, value); }
void ValueReader::read(const YAML::Node& node, QkNorm& value) { read_name(node, value); }
void ValueReader::read(const YAML::Node& node, Basis& value) { read_name(node, value); }
void ValueReader::read(const YAML::Node& node, Layout& value) { read_name(node, value); }
void ValueReader::read(const YAML::Node& node, FractionOf& value) { read_name(node, value); }
void ValueReader::read(const YAML::Node& node, Overlap& value) {
  std::string text = scalar(node);
  std::string_view rest;
  std::optional<double> hidden = parse_decimal(text, &rest);
  if (text == "max" || text == "sum")
    value = text == "max" ? Overlap::max() : Overlap::sum();
  else if (hidden && rest.empty())
    value.hidden = *hidden;
  else
    source_.problem(node.Mark(), "unknown value " + as_given(text),
                    "expected max, sum, or the share of the shorter time that is hidden, such as 0.6");
}

void ValueReader::read(const YAML::Node& node, WeightFormats& value) {
  if (node.IsMap()) return read_fields(node, value, "weights");
  Format all = format("bf16");
  read(node, all);
  bool wide = all.bytes >= 2 * all.elements;  // quantised checkpoints keep embeddings in 16 bits
  value = {all, all, wide ? all : format("bf16"), std::nullopt};
}

/// Reads the mapping as a spec that names its own kind beside its fields.
template <class Variant, class T>
void ValueReader::read_kind(const YAML::Node& node, Variant& value, T kind, const std::string& what) {
  SpecReader reader(source_, node, what);
  reader.allow("kind");
  fields(kind, reader);
  reader.finish();
  value = kind;
}

void ValueReader::read(const YAML::Node& node, Attention& value) {
  if (!node.IsMap() || !node["kind"]) return source_.problem(node.Mark(), "expected {kind: full, …}");
  std::string kind = scalar(node["kind"]), what = "attention kind '" + kind + "'";
  std::string known;
  bool found = false;
  auto try_kind = [&]<class T>(T spec) {
    known += (known.empty() ? "" : ", ") + std::string(T::name);
    if (T::name != kind) return;
    found = true;
    read_kind(node, value, spec, what);
  };
  [&]<class... Kinds>(std::variant<Kinds...>*) { (try_kind(Kinds{}), ...); }(static_cast<Attention*>(nullptr));
  if (!found)
    source_.problem(node["kind"].Mark(), "unknown attention kind " + as_given(kind), "expected one of " + known);
}

void ValueReader::read(const YAML::Node& node, FeedForward& value) {
  if (!node.IsMap() || !node["kind"]) return source_.problem(node.Mark(), "expected {kind: gated, width: …}");
  std::string kind = scalar(node["kind"]), what = "feed-forward kind '" + kind + "'";
  if (kind == "none") {
    read_kind(node, value, NoFeedForward{}, what);
  } else if (kind == "gated" || kind == "plain") {
    DenseFeedForward dense;
    dense.matrices = kind == "gated" ? 3 : 2;
    read_kind(node, value, dense, what);
  } else if (kind == "moe") {
    bool gated = true;
    if (YAML::Node flag = node["gated"]) read(flag, gated);
    MoeFeedForward moe;
    moe.matrices = gated ? 3 : 2;
    SpecReader reader(source_, node, what);
    reader.allow("kind");
    reader.allow("gated");
    fields(moe, reader);
    reader.finish();
    value = moe;
  } else {
    source_.problem(node["kind"].Mark(), "unknown feed-forward kind " + as_given(kind),
                    "expected one of gated, plain, moe, none");
  }
}

std::optional<double> ValueReader::quantity(const YAML::Node& node, Dimension dimension) {
  ParsedNumber parsed = parse_quantity(scalar(node), dimension);
  if (!parsed.value) source_.problem(node.Mark(), parsed.error);
  return parsed.value;
}

std::optional<int> ValueReader::arithmetic(const YAML::Node& key) {
  for (int a = 0; a < 7; ++a)
    if (name_of(Arithmetic(a)) == scalar(key)) return a;
  source_.problem(key.Mark(), "unknown arithmetic " + as_given(scalar(key)),
                  "expected one of fp32, tf32, fp16, bf16, fp8, int8, fp4");
  return std::nullopt;
}

void SpecReader::finish() {
  for (const auto& pair : node_) {
    std::string key = scalar(pair.first);
    bool is_known = false;
    for (const std::string& k : known_) is_known |= k == key;
    if (is_known) continue;
    std::optional<std::string> near = nearest(key, known_);
    source_.problem(pair.first.Mark(), "unknown key '" + key + "'" + in_what(),
                    near ? "did you mean '" + *near + "'?" : "");
  }
}

}  // namespace kvroof
