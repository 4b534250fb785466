#include "render/document.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "render/bar.h"
#include "render/number.h"

namespace kvroof {
namespace {

bool may_shrink(const std::string& title) { return !title.empty() && title[0] == '~'; }
bool left_aligned(const std::string& title) { return !title.empty() && (title[0] == '<' || title[0] == '~'); }
std::string title_of(const std::string& title) { return left_aligned(title) ? title.substr(1) : title; }

std::string padded(const std::string& text, int width, bool left) {
  std::string space(std::size_t(std::max(0, width - columns_of(text))), ' ');
  return left ? text + space : space + text;
}

/// The first columns of a text that is too long, with what is missing marked.
std::string shortened(const std::string& text, int width) {
  if (columns_of(text) <= width) return text;
  std::string out;
  int columns = 0;
  for (std::size_t i = 0; i < text.size() && columns < width - 3;) {
    do out += text[i++];
    while (i < text.size() && (static_cast<unsigned char>(text[i]) & 0xC0) == 0x80);
    ++columns;
  }
  return out + "...";
}

/// Takes columns from the widest texts that may shrink until a line fits.
void fit_into(std::vector<int>& widths, const std::vector<std::string>& titles, int room) {
  for (;;) {
    int total = 2;
    std::size_t widest = widths.size();
    for (std::size_t c = 0; c < widths.size(); ++c) {
      total += widths[c] + (c ? 2 : 0);
      if (may_shrink(titles[c]) && widths[c] > 12 && (widest == widths.size() || widths[c] > widths[widest]))
        widest = c;
    }
    if (total <= room || widest == widths.size()) return;
    --widths[widest];
  }
}

std::vector<int> widths_of(const Table& table) {
  std::vector<int> widths;
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    int width = columns_of(title_of(table.columns[c]));
    for (const auto& row : table.rows) width = std::max(width, columns_of(row[c]));
    widths.push_back(width);
  }
  return widths;
}

std::string bold(const std::string& text, const TextStyle& style) {
  return style.color ? "\033[1m" + text + "\033[0m" : text;
}
std::string dim(const std::string& text, const TextStyle& style) {
  return style.color ? "\033[2m" + text + "\033[0m" : text;
}

std::string without_trailing_spaces(std::string line) {
  while (!line.empty() && line.back() == ' ') line.pop_back();
  return line;
}

bool is_command(const std::string& note) { return note.starts_with("$ "); }

/// A command in lines a shell reads as one.
std::string pasteable(const std::string& command, int width) {
  std::string lines = wrapped("  " + command, width - 2, 6);
  for (std::size_t at = 0; (at = lines.find('\n', at)) != std::string::npos; at += 3) lines.insert(at, " \\");
  return lines;
}

struct TreeLine {
  std::string left, value, why;
};

void tree_lines(const Node& node, const std::string& first, const std::string& rest, std::vector<TreeLine>& out) {
  std::string why = node.why;
  if (node.rule != Rule::given && !node.parts.empty())
    why = std::string(name_of(node.rule)) + (why.empty() ? "" : ": " + why);
  out.push_back({first + node.label, measured(node.value, node.measure), why});
  for (std::size_t i = 0; i < node.parts.size(); ++i) {
    bool last = i + 1 == node.parts.size();
    tree_lines(node.parts[i], rest + (last ? "└ " : "├ "), rest + (last ? "  " : "│ "), out);
  }
}

// ---- text ----------------------------------------------------------------------------------------------

struct TextBlock {
  const TextStyle& style;

  std::string operator()(const Heading& h) const { return "\n" + bold(wrapped(h.text, style.width, 0), style) + "\n"; }
  std::string operator()(const Paragraph& p) const { return wrapped(p.text, style.width, 0) + "\n"; }
  std::string operator()(const Notes& n) const {
    std::string out;
    for (const std::string& line : n.lines)
      out += (is_command(line) ? pasteable(line.substr(2), style.width) : wrapped("- " + line, style.width, 2)) + "\n";
    return out;
  }
  std::string operator()(const Facts& facts) const {
    int width = 0;
    for (const auto& [label, value] : facts.rows) width = std::max(width, columns_of(label));
    std::string out;
    for (const auto& [label, value] : facts.rows) {
      std::string line = "  " + padded(label, width, true) + "  " + value;
      out += without_trailing_spaces(wrapped(line, style.width, width + 4)) + "\n";
    }
    return out;
  }
  std::string operator()(const Table& table) const {
    std::vector<int> widths = widths_of(table);
    fit_into(widths, table.columns, style.width);
    int bars =
        std::min(24, style.width - 4 - 2 * int(widths.size()) - std::accumulate(widths.begin(), widths.end(), 0));
    std::string header = "  ", out;
    for (std::size_t c = 0; c < widths.size(); ++c)
      header += (c ? "  " : "") + padded(title_of(table.columns[c]), widths[c], left_aligned(table.columns[c]));
    out += dim(without_trailing_spaces(header), style) + "\n";
    for (std::size_t r = 0; r < table.rows.size(); ++r) {
      const std::vector<std::string>& row = table.rows[r];
      std::string line = "  ";
      for (std::size_t c = 0; c < widths.size(); ++c)
        line += (c ? "  " : "") + padded(shortened(row[c], widths[c]), widths[c], left_aligned(table.columns[c]));
      if (r < table.shares.size() && bars >= 6) line += "  " + bar(table.shares[r], bars, style.utf8);
      out += without_trailing_spaces(line) + "\n";
    }
    return out;
  }
  std::string operator()(const Tree& tree) const {
    std::vector<TreeLine> lines;
    tree_lines(tree.root, "", "", lines);
    int left = 0, value = 0;
    for (const TreeLine& l : lines) {
      left = std::max(left, columns_of(l.left));
      value = std::max(value, columns_of(l.value));
    }
    std::string out;
    for (const TreeLine& l : lines) {
      std::string line = "  " + padded(l.left, left, true) + "  " + padded(l.value, value, false);
      int room = style.width - columns_of(line) - 2;
      std::string why = l.why;
      if (columns_of(why) > room) why = room > 12 ? shortened(why, room) : "";
      out += without_trailing_spaces(line + "  " + why) + "\n";
    }
    return out;
  }
};

// ---- markdown ------------------------------------------------------------------------------------------

std::string cell(std::string text) {
  for (std::size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) text.insert(at, "\\");
  return text;
}

struct MarkdownBlock {
  std::string operator()(const Heading& h) const { return "## " + h.text + "\n"; }
  std::string operator()(const Paragraph& p) const {
    return p.text.substr(std::min(p.text.find_first_not_of(' '), p.text.size())) + "\n";
  }
  std::string operator()(const Notes& n) const {
    std::string out;
    for (const std::string& line : n.lines) out += "- " + (is_command(line) ? "`" + line.substr(2) + "`" : line) + "\n";
    return out;
  }
  std::string operator()(const Facts& facts) const {
    Table table{{"<", "<"}, {}};
    for (const auto& [label, value] : facts.rows) table.rows.push_back({label, value});
    return (*this)(table);
  }
  std::string operator()(const Table& table) const {
    std::string out = "|", rule = "|";
    for (const std::string& c : table.columns) {
      out += " " + cell(title_of(c)) + " |";
      rule += left_aligned(c) ? " --- |" : " ---: |";
    }
    out += "\n" + rule + "\n";
    for (const auto& row : table.rows) {
      out += "|";
      for (const std::string& c : row) out += " " + cell(c) + " |";
      out += "\n";
    }
    return out;
  }
  std::string operator()(const Tree& tree) const { return "```\n" + TextBlock{TextStyle{100, false}}(tree) + "```\n"; }
};

/// Bytes are whole: a share of a rank's memory is rounded once, here.
void round_bytes(Json& json, bool is_bytes) {
  if (json.is_object())
    for (auto& [key, value] : json.items())
      round_bytes(value, key.find("bytes") != std::string::npos && key.find("per_second") == std::string::npos);
  else if (json.is_array())
    for (Json& value : json) round_bytes(value, is_bytes);
  else if (is_bytes && json.is_number_float() && std::abs(json.get<double>()) < 9e15)
    json = i64(std::llround(json.get<double>()));
}

std::string render_csv(const Table& table) {
  std::string out;
  auto line = [&](const std::vector<std::string>& cells) {
    for (std::size_t i = 0; i < cells.size(); ++i) out += (i ? "," : "") + csv_field(cells[i]);
    out += "\n";
  };
  line(table.columns);
  for (const auto& row : table.rows) line(row);
  return out;
}

}  // namespace

Json json_of(const Node& node) {
  Json j = {
      {"label", node.label}, {"value", node.value}, {"unit", name_of(node.measure)}, {"rule", name_of(node.rule)}};
  if (!node.why.empty()) j["why"] = node.why;
  for (const Node& part : node.parts) j["parts"].push_back(json_of(part));
  return j;
}

int columns_of(std::string_view text) {
  int columns = 0;
  for (char c : text) columns += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return columns;
}

std::string wrapped(std::string_view text, int width, int indent) {
  std::string out, line;
  std::size_t begin = 0;
  bool first = true;
  auto flush = [&] {
    out += (out.empty() ? "" : "\n") + line;
    line.assign(std::size_t(indent), ' ');
    first = true;
  };
  while (begin <= text.size()) {
    std::size_t end = std::min(text.find(' ', begin), text.size());
    std::string word(text.substr(begin, end - begin));
    // Leading spaces and runs of spaces are layout and stay; only a break replaces them.
    if (columns_of(line) + int(!first) + columns_of(word) > width && !first && columns_of(line) > indent) flush();
    line += (first ? "" : " ") + word;
    first = false;
    begin = end + 1;
  }
  out += (out.empty() ? "" : "\n") + line;
  return out;
}

std::string csv_field(std::string_view text) {
  if (std::none_of(text.begin(), text.end(), [](char c) { return c == ',' || c == '"' || c == '\n' || c == '\r'; }))
    return std::string(text);
  std::string out = "\"";
  for (char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

std::string render(const Document& document, OutputFormat format, const TextStyle& style) {
  if (format == OutputFormat::json) {
    Json json = document.json;
    round_bytes(json, false);
    return json.dump(2) + "\n";
  }
  if (format == OutputFormat::csv) return render_csv(document.csv);
  if (format == OutputFormat::yaml) return document.yaml;
  bool markdown = format == OutputFormat::markdown;
  std::string out;
  for (const Block& block : document.blocks) {
    std::string text = markdown ? std::visit(MarkdownBlock{}, block) : std::visit(TextBlock{style}, block);
    // A blank line between blocks: right below a table, a line would be a row of it.
    out += (markdown && !out.empty() && !text.empty() ? "\n" : "") + text;
  }
  out.erase(0, out.find_first_not_of('\n'));
  return out;
}

}  // namespace kvroof
