#include "catalog/measured.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "catalog/suggest.h"
#include "catalog/text_file.h"

namespace kvroof {
namespace {

/// Splits a text into records of fields, one call each.
struct CsvReader {
  std::string_view text;
  std::size_t at = 0;
  int line = 1;
  bool unclosed = false;

  bool done() const { return at >= text.size(); }
  std::vector<std::string> record();

 private:
  std::string quoted();
  std::string plain();
};

std::string CsvReader::quoted() {
  std::string field;
  for (++at; at < text.size(); ++at) {
    if (text[at] == '\n') ++line;
    if (text[at] != '"') {
      field += text[at];
    } else if (at + 1 < text.size() && text[at + 1] == '"') {
      field += text[++at];
    } else {
      ++at;
      return field;
    }
  }
  unclosed = true;
  return field;
}

std::string CsvReader::plain() {
  std::size_t end = std::min(text.find_first_of(",\n", at), text.size());
  std::string field(text.substr(at, end - at));
  at = end;
  if (!field.empty() && field.back() == '\r') field.pop_back();
  return field;
}

std::vector<std::string> CsvReader::record() {
  std::vector<std::string> fields;
  for (;;) {
    bool in_quotes = at < text.size() && text[at] == '"';
    fields.push_back(in_quotes ? quoted() : plain());
    if (in_quotes && at < text.size() && text[at] != ',') fields.back() += plain();
    if (at >= text.size() || text[at] != ',') break;
    ++at;
  }
  if (at < text.size()) ++at, ++line;  // the line break
  return fields;
}

}  // namespace

MeasuredTable MeasuredTable::read(const std::string& path) { return parse(path, read_text_file(path, "a CSV file")); }

MeasuredTable MeasuredTable::parse(std::string file, std::string_view text) {
  if (text.find('\0') != std::string_view::npos) throw InputError{file + ": is not text (it holds a zero byte)\n"};
  if (text.substr(0, 3) == "\xEF\xBB\xBF") text.remove_prefix(3);
  MeasuredTable table;
  table.file_ = std::move(file);
  CsvReader reader{text};
  while (!reader.done()) {
    int line = reader.line;
    std::vector<std::string> fields = reader.record();
    std::string where = table.file_ + ":" + std::to_string(line);
    if (reader.unclosed) throw InputError{where + ": a quoted field is not closed\n"};
    if (fields.size() == 1 && fields[0].empty()) continue;
    if (table.columns_.empty()) {
      table.columns_ = std::move(fields);
      continue;
    }
    if (fields.size() != table.columns_.size())
      throw InputError{where + ": " + std::to_string(fields.size()) + " fields, expected the header's " +
                       std::to_string(table.columns_.size()) + "\n"};
    table.rows_.push_back(std::move(fields));
    table.lines_.push_back(line);
  }
  if (table.columns_.empty()) throw InputError{table.file_ + ": is empty\n"};
  return table;
}

std::optional<std::size_t> MeasuredTable::index(std::string_view column) const {
  auto found = std::find(columns_.begin(), columns_.end(), column);
  if (found == columns_.end()) return std::nullopt;
  return std::size_t(found - columns_.begin());
}

std::string_view MeasuredTable::at(std::size_t row, std::string_view column) const {
  std::optional<std::size_t> i = index(column);
  return i ? std::string_view(rows_[row][*i]) : std::string_view();
}

std::string MeasuredTable::place(std::size_t row) const { return file_ + ":" + std::to_string(lines_[row]); }

std::optional<double> number_in(std::string_view field) {
  std::string digits;
  for (char c : field)
    if (c != ',' && c != ' ') digits += c;
  double value = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  bool whole = error == std::errc() && end == digits.data() + digits.size();
  return whole && std::isfinite(value) ? std::optional(value) : std::nullopt;
}

int decimals_in(std::string_view field) {
  std::size_t point = field.find('.');
  if (point == std::string_view::npos) return 0;
  std::size_t end = field.find_first_not_of("0123456789", point + 1);
  return int(std::min(end, field.size()) - point - 1);
}

}  // namespace kvroof
