// Tables of what was measured, as CSV with a header: read whole, looked up by column name.
//
// Which kind of table it is shows in a column only that kind has, so a file needs no other mark. A field may be quoted,
// hold commas, quotes and line breaks; every row has as many fields as the header.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kvroof {

class MeasuredTable {
 public:
  /// Throws InputError that names the line.
  static MeasuredTable read(const std::string& path);
  static MeasuredTable parse(std::string file, std::string_view text);

  const std::string& file() const { return file_; }
  std::size_t size() const { return rows_.size(); }
  const std::vector<std::string>& columns() const { return columns_; }
  bool has(std::string_view column) const { return index(column).has_value(); }
  /// The field of that row and column; empty when the table has no such column.
  std::string_view at(std::size_t row, std::string_view column) const;
  /// `file:line` of a row, for messages.
  std::string place(std::size_t row) const;

 private:
  std::optional<std::size_t> index(std::string_view column) const;

  std::string file_;
  std::vector<std::string> columns_;
  std::vector<std::vector<std::string>> rows_;
  std::vector<int> lines_;
};

/// A number as a table writes it: `1,075,312`, `0.95`, `-3`, `1e6`; none when the field is empty or more than a number.
std::optional<double> number_in(std::string_view field);
/// Digits after the decimal point.
int decimals_in(std::string_view field);

}  // namespace kvroof
