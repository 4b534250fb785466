// Run while kvroof is built: reads the catalogue with kvroof's own reader and writes what it says as a C++ source, so
// that the built-in entries need no reading when kvroof starts. An entry that is wrong ends the build with its message.
//
//   pack_catalogue models.yaml hardware.yaml OUT.cc
#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <iterator>
#include <string>

#include "catalog/catalog.h"
#include "catalog/text_file.h"

namespace {

using namespace kvroof;

std::string literal(std::string_view bytes) {
  std::string out;
  for (std::size_t at = 0; at < bytes.size(); at += 64) {
    out += "    \"";
    for (char c : bytes.substr(at, 64)) out += fmt::format("\\{:03o}", static_cast<unsigned char>(c));
    out += "\"\n";
  }
  return out;
}

/// Rows of the entries of one file, whose bytes go behind those that are there.
std::string rows_of(const std::string& name, const std::string& text, std::string& bytes) {
  Catalog catalog;
  catalog.add_text(name, text);
  std::string rows;
  std::size_t at = 0;
  for (const Entry& e : catalog.entries()) {
    at = text.find(e.text, at);
    auto section = std::find(std::begin(sections), std::end(sections), e.section) - std::begin(sections);
    std::string aliases = catalog.aliases(e), spec = catalog.packed(e);
    rows += fmt::format("    {{{}, {}, {}, {}, {}, {}, {}, {}}},\n", section, e.first_line, at, e.text.size(),
                        e.id.size(), bytes.size(), aliases.size(), spec.size());
    bytes += aliases + spec;
    at += e.text.size();
  }
  return rows;
}

void write_source(const std::string& models, const std::string& hardware, const std::string& to) {
  std::string bytes;
  std::string rows = rows_of("models.yaml", read_text_file(models, "a YAML file"), bytes);
  rows += rows_of("hardware.yaml", read_text_file(hardware, "a YAML file"), bytes);
  write_text_file(to,
                  "#include \"catalog/built_in.h\"\n\nnamespace kvroof {\n"
                  "std::span<const BuiltInEntry> built_in_entries() {\n  static constexpr BuiltInEntry rows[] = {\n" +
                      rows +
                      "  };\n  return rows;\n}\n"
                      "std::string_view built_in_packed() {\n  static constexpr char bytes[] =\n" +
                      literal(bytes) + "  ;\n  return {bytes, sizeof bytes - 1};\n}\n}  // namespace kvroof\n");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  try {
    write_source(argv[1], argv[2], argv[3]);
  } catch (const InputError& e) {
    std::cerr << e.message;
    return 1;
  }
}
