// What a command has to say, once, before any format: headings, facts, tables, trees and notes.
//
// Commands build a Document and a JSON value; each output format is one function over the document. Text is
// laid out for a terminal of `width` columns, counting columns and not bytes.
#pragma once

#include <nlohmann/json.hpp>

#include <string>
#include <variant>
#include <vector>

#include "core/explain.h"

namespace kvroof {

using Json = nlohmann::ordered_json;

struct Heading {
  std::string text;
};
struct Paragraph {
  std::string text;
};
/// Label and value pairs, aligned.
struct Facts {
  std::vector<std::pair<std::string, std::string>> rows;
};
/// Columns are right-aligned unless their title starts with '<', or with '~' when it may also be cut short.
struct Table {
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;
  std::vector<double> shares = {};  ///< 0 to 1, one a row: bars at the right, in text that has room for them
};
/// A line that starts with `$ ` is a command to paste.
struct Notes {
  std::vector<std::string> lines;
};
struct Tree {
  Node root;
};

using Block = std::variant<Heading, Paragraph, Facts, Table, Notes, Tree>;

struct Document {
  std::vector<Block> blocks;
  Json json;         ///< with schema_version; base units
  Table csv;         ///< the main table in base units, keys as columns
  std::string yaml;  ///< a catalogue entry, where the command has one to show
};

enum class OutputFormat { text, json, csv, markdown, yaml };

struct TextStyle {
  int width = 80;
  bool color = false;
  bool utf8 = true;
};

/// The tree as JSON: label, value, unit, rule, why, parts.
Json json_of(const Node& node);

std::string render(const Document& document, OutputFormat format, const TextStyle& style);

/// Columns a UTF-8 text takes in a terminal.
int columns_of(std::string_view text);
/// Lines of at most `width` columns, continued with `indent` spaces.
std::string wrapped(std::string_view text, int width, int indent);
/// One CSV field, quoted where it must be.
std::string csv_field(std::string_view text);

}  // namespace kvroof
