// The catalogue files as they were when this binary was built, and what was read from them then; CMake and
// cmake/pack_catalogue.cc generate both.
#pragma once

#include <span>
#include <string_view>

namespace kvroof {

std::string_view built_in_models();
std::string_view built_in_hardware();
std::string_view built_in_date();  ///< of the last change to either file, `2026-09-01`
std::string_view built_in_hash();  ///< the first 12 digits of the SHA-256 of both

/// Where an entry stands in its file's text, and its aliases and spec among the packed bytes, one after the other.
struct BuiltInEntry {
  int section;  ///< of catalog.h's sections; models have a file of their own
  int first_line;
  unsigned text, text_size, id_size;
  unsigned packed, aliases_size, spec_size;
};
std::span<const BuiltInEntry> built_in_entries();
std::string_view built_in_packed();

}  // namespace kvroof
