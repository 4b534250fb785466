#include "catalog/text_file.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "catalog/suggest.h"

namespace kvroof {

std::string read_text_file(const std::string& path, std::string_view expected) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error))
    throw InputError{path + ": is a directory, expected " + std::string(expected) + "\n"};
  std::ifstream in(path, std::ios::binary);
  if (!in) throw InputError{path + ": can't be opened\n"};
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

bool is_utf8(std::string_view text) {
  try {
    nlohmann::json(text).dump();
    return true;
  } catch (const nlohmann::json::type_error&) { return false; }
}

void write_text_file(const std::string& path, std::string_view text) {
  std::ofstream out(path, std::ios::binary);
  out << text << std::flush;
  if (!out) throw InputError{path + ": can't be written\n"};
}

}  // namespace kvroof
