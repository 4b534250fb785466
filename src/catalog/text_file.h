// Whole text files, read and written, with one wording for what went wrong.
#pragma once

#include <string>
#include <string_view>

namespace kvroof {

/// The file's bytes. Throws InputError when it can't be opened, or is a folder where `expected` ("a CSV file") should
/// be.
std::string read_text_file(const std::string& path, std::string_view expected);

bool is_utf8(std::string_view text);

/// Replaces the file. Throws InputError when it can't be written whole.
void write_text_file(const std::string& path, std::string_view text);

}  // namespace kvroof
