// A table written row by row, in every output format, without ever being held: what a sweep of millions of rows needs.
//
// Each row is appended to a text by itself, so threads can write rows side by side and their texts joined in order are
// what one thread writes.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/measure.h"
#include "render/document.h"

namespace kvroof {

struct RowColumn {
  std::string title;
  std::string key;       ///< in JSON and CSV
  int width = 0;         ///< of its widest cell in text
  bool is_word = false;  ///< left-aligned; a string in JSON
};

/// A word, a number, or neither: what is unknown is left empty.
struct Cell {
  enum class Kind { absent, word, number } kind = Kind::absent;
  std::string_view word = {};
  double number = 0;
  Measure measure = Measure::count;

  static Cell of(std::string_view word) { return {word.empty() ? Kind::absent : Kind::word, word}; }
  static Cell of(double number, Measure measure) { return {Kind::number, {}, number, measure}; }
};

/// As CSV and JSON write it: true or false, whole bytes, the shortest digits that read back as the same number. A word
/// as it is, without quotes; nothing where it is absent.
std::string data_of(const Cell& cell);

class RowWriter {
 public:
  RowWriter(OutputFormat format, std::vector<RowColumn> columns) : format_(format), columns_(std::move(columns)) {}

  /// What comes before the rows; `json` becomes the members before "rows".
  std::string open(const std::vector<std::string>& headings, const Json& json) const;
  /// Every JSON row starts with a comma; the first one's is dropped by whoever joins them.
  void add(std::string& out, std::span<const Cell> cells) const;
  /// `missing`: why there are not all rows, where there are not; the output then says so by itself.
  std::string close(std::string_view missing = {}) const;
  /// Characters of the first row that only separate it from a row before it.
  std::size_t separator() const { return format_ == OutputFormat::json ? 1 : 0; }

 private:
  OutputFormat format_;
  std::vector<RowColumn> columns_;
};

}  // namespace kvroof
