// Reads specs from YAML and says exactly where one is wrong: file:line:col, the line, a caret, a way out.
//
// A SpecReader walks a spec's field list over a mapping: each key is looked up and converted, unknown keys
// are reported with the nearest known one, repeated ones with the line of the first. All problems of a file are
// collected, then thrown together; nothing half-read leaves this file.
#pragma once

#include <yaml-cpp/yaml.h>

#include <string>
#include <string_view>
#include <vector>

#include "catalog/fields.h"
#include "catalog/suggest.h"
#include "core/units.h"

namespace kvroof {

/// A place in a text, from 0; a line of -1 is the file as a whole.
struct Place {
  int line = -1;
  int column = 0;
  Place() = default;
  Place(int l, int c) : line(l), column(c) {}
  Place(const YAML::Mark& mark) : line(mark.line), column(mark.column) {}
};

/// A text being read, which collects what is wrong with it.
class Source {
 public:
  /// `first_line` is where the text starts in its file, from 0.
  Source(std::string file, std::string_view text, int first_line = 0)
      : file_(std::move(file)), text_(text), first_line_(first_line) {}

  void problem(Place place, const std::string& what, const std::string& hint = "");
  /// All problems found so far as one message; empty when there are none.
  std::string problems() const;
  void throw_if_any() const;
  std::string where(Place place) const;
  /// Of its file, from 1.
  int line_of(Place place) const { return place.line + first_line_ + 1; }
  const std::string& file() const { return file_; }

 private:
  std::string file_;
  std::string_view text_;
  int first_line_;
  std::vector<std::string> problems_;
};

/// The document of a text, or an InputError that points at what is not YAML. Keys given twice go to the source.
YAML::Node load_yaml(Source& source, std::string_view text);

/// Conversions of one value each; a failure is reported to the source and leaves the value alone.
class ValueReader {
 public:
  explicit ValueReader(Source& source) : source_(source) {}

  void read(const YAML::Node& node, i64& value);
  void read(const YAML::Node& node, double& value);
  void read(const YAML::Node& node, Watts& value);
  void read(const YAML::Node& node, bool& value);
  void read(const YAML::Node& node, std::string& value);
  void read(const YAML::Node& node, Format& value);
  void read(const YAML::Node& node, Confidence& value);
  void read(const YAML::Node& node, QkNorm& value);
  void read(const YAML::Node& node, Overlap& value);
  void read(const YAML::Node& node, Basis& value);
  void read(const YAML::Node& node, Layout& value);
  void read(const YAML::Node& node, FractionOf& value);
  void read(const YAML::Node& node, WeightFormats& value);
  void read(const YAML::Node& node, Attention& value);
  void read(const YAML::Node& node, FeedForward& value);
  template <Dimension D>
  void read(const YAML::Node& node, Quantity<D>& value) {
    if (std::optional<double> number = quantity(node, D)) value.value = *number;
  }
  template <class T>
  void read(const YAML::Node& node, std::optional<T>& value) {
    T inner{};
    read(node, inner);
    value = std::move(inner);
  }
  template <class T>
  void read(const YAML::Node& node, std::vector<T>& values) {
    if (!node.IsSequence()) return source_.problem(node.Mark(), "expected a list");
    values.clear();
    for (const YAML::Node& item : node) {
      values.emplace_back();
      read(item, values.back());
    }
  }
  template <class T>
  void read(const YAML::Node& node, ByArithmetic<T>& values) {
    if (!node.IsMap()) return source_.problem(node.Mark(), "expected a mapping by arithmetic, such as {bf16: …}");
    for (const auto& pair : node)
      if (std::optional<int> index = arithmetic(pair.first)) {
        T inner{};
        read(pair.second, inner);
        values[std::size_t(*index)] = inner;
      }
  }
  /// Any struct with a field list.
  template <class T>
    requires requires(T& t) {
      fields(t, [](auto&&...) {});
    }
  void read(const YAML::Node& node, T& value) { read_fields(node, value, ""); }
  template <class T>
  void read_fields(const YAML::Node& node, T& value, const std::string& what);

 private:
  template <class Variant, class T>
  void read_kind(const YAML::Node& node, Variant& value, T kind, const std::string& what);
  /// Bare or with the unit; digits in quotes are text.
  std::optional<double> number(const YAML::Node& node, const char* expected, std::string_view unit = "");
  std::optional<double> quantity(const YAML::Node& node, Dimension dimension);
  std::optional<int> arithmetic(const YAML::Node& key);
  template <class Enum>
  void read_name(const YAML::Node& node, Enum& value);
  Source& source_;
};

/// Visitor over a field list that reads each key from a mapping.
class SpecReader {
 public:
  SpecReader(Source& source, const YAML::Node& node, std::string what)
      : source_(source), node_(node), what_(std::move(what)) {}

  template <class T>
  void operator()(const char* key, T& value) {
    known_.push_back(key);
    if (YAML::Node child = node_[key])
      ValueReader(source_).read(child, value);
    else
      source_.problem(node_.Mark(), "missing key '" + std::string(key) + "'" + in_what());
  }
  template <class T, class U>
  void operator()(const char* key, T& value, const U& fallback) {
    known_.push_back(key);
    YAML::Node child = node_[key];
    if (child && !child.IsNull())
      ValueReader(source_).read(child, value);
    else
      value = fallback;
  }
  void allow(const char* key) { known_.push_back(key); }
  /// Reports keys that no field asked for.
  void finish();

 private:
  std::string in_what() const { return what_.empty() ? "" : " in " + what_; }
  Source& source_;
  YAML::Node node_;
  std::string what_;
  std::vector<std::string> known_;
};

template <class T>
void ValueReader::read_fields(const YAML::Node& node, T& value, const std::string& what) {
  if (!node.IsMap()) return source_.problem(node.Mark(), "expected a mapping" + (what.empty() ? "" : " for " + what));
  SpecReader reader(source_, node, what);
  fields(value, reader);
  reader.finish();
}

}  // namespace kvroof
