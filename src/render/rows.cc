#include "render/rows.h"

#include <fmt/compile.h>
#include <fmt/format.h>

#include <cmath>

#include "render/number.h"

namespace kvroof {
namespace {

void add_number(std::string& out, const Cell& cell) {
  if (cell.measure == Measure::flag) {
    out += cell.number != 0 ? "true" : "false";
    return;
  }
  double value = cell.measure == Measure::bytes ? std::round(cell.number) : cell.number;
  char digits[32];  // the longest is -2.2250738585072014e-308
  char* end = std::abs(value) < 9e15 && value == std::floor(value)
                  ? fmt::format_to(digits, FMT_COMPILE("{}"), i64(value))
                  : fmt::format_to(digits, FMT_COMPILE("{}"), value);
  out.append(digits, std::size_t(end - digits));
}

std::string printed(const Cell& cell) {
  if (cell.kind == Cell::Kind::absent) return "-";
  return cell.kind == Cell::Kind::word ? std::string(cell.word) : measured(cell.number, cell.measure);
}

void add_padded(std::string& out, std::string_view text, const RowColumn& column) {
  std::size_t space = std::size_t(std::max(0, column.width - columns_of(text)));
  if (!column.is_word) out.append(space, ' ');
  out += text;
  if (column.is_word) out.append(space, ' ');
}

void end_line(std::string& out) {
  while (!out.empty() && out.back() == ' ') out.pop_back();
  out += '\n';
}

std::string quoted(std::string_view text) { return Json(std::string(text)).dump(); }

void add_json(std::string& out, std::span<const Cell> cells, const std::vector<RowColumn>& columns) {
  out += ",\n    {";
  bool first = true;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (cells[i].kind == Cell::Kind::absent) continue;
    if (!first) out += ", ";
    first = false;
    out += '"';
    out += columns[i].key;
    out += "\": ";
    if (cells[i].kind == Cell::Kind::word)
      out += quoted(cells[i].word);
    else
      add_number(out, cells[i]);
  }
  out += '}';
}

void add_csv(std::string& out, std::span<const Cell> cells) {
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (i > 0) out += ',';
    if (cells[i].kind == Cell::Kind::word)
      out += csv_field(cells[i].word);
    else if (cells[i].kind == Cell::Kind::number)
      add_number(out, cells[i]);
  }
  out += '\n';
}

}  // namespace

std::string data_of(const Cell& cell) {
  std::string out(cell.word);
  if (cell.kind == Cell::Kind::number) add_number(out, cell);
  return out;
}

std::string RowWriter::open(const std::vector<std::string>& headings, const Json& json) const {
  std::string out;
  if (format_ == OutputFormat::json) {
    out = json.dump(2);
    out.erase(out.rfind('\n'));  // the closing brace comes after the rows
    return out + ",\n  \"rows\": [";
  }
  if (format_ == OutputFormat::csv) {
    for (std::size_t i = 0; i < columns_.size(); ++i) out += (i ? "," : "") + csv_field(columns_[i].key);
    return out + "\n";
  }
  if (format_ == OutputFormat::markdown) {
    std::string rule = "|";
    for (const std::string& h : headings) out += h + "\n\n";
    out += "|";
    for (const RowColumn& c : columns_) {
      out += " " + c.title + " |";
      rule += c.is_word ? " --- |" : " ---: |";
    }
    return out + "\n" + rule + "\n";
  }
  for (const std::string& h : headings) out += wrapped(h, 80, 0) + "\n";
  if (!headings.empty()) out += "\n";
  for (const RowColumn& c : columns_) {
    out += "  ";
    add_padded(out, c.title, c);
  }
  end_line(out);
  return out;
}

void RowWriter::add(std::string& out, std::span<const Cell> cells) const {
  if (format_ == OutputFormat::json) return add_json(out, cells, columns_);
  if (format_ == OutputFormat::csv) return add_csv(out, cells);
  bool markdown = format_ == OutputFormat::markdown;
  if (markdown) out += "|";
  for (std::size_t i = 0; i < cells.size(); ++i) {
    std::string text = printed(cells[i]);
    if (markdown) {
      out += " " + text + " |";
    } else {
      out += "  ";
      add_padded(out, text, columns_[i]);
    }
  }
  end_line(out);
}

std::string RowWriter::close(std::string_view missing) const {
  if (format_ == OutputFormat::json)
    return missing.empty() ? "\n  ]\n}\n" : "\n  ],\n  \"missing\": " + quoted(missing) + "\n}\n";
  return missing.empty() ? "" : fmt::format("# {}\n", missing);
}

}  // namespace kvroof
