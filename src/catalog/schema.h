// The catalogue's files as JSON Schemas (draft-07), so that an editor completes keys and marks mistakes while they are
// typed.
//
// The same field lists that read a file describe it: keys, which of them are needed, defaults, words, units. What a
// list can't say (that heads divide, that an alias names one model only) stays `kvroof models lint`'s to find.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "catalog/record.h"

namespace kvroof {

/// A file that may hold these sections (`models`, `devices`, …).
Json catalogue_schema(std::string_view title, std::span<const std::string_view> sections);

/// `$schema` and what the file is, before its rules.
Json schema_head(std::string_view title, std::string_view description);

/// One value on one line: text, a number, true or false.
Json one_value_schema();
/// Names and aliases of number formats.
Json format_schema();

/// Regular expressions (the dialect JSON Schema has) of what units.h parses, without anchors.
std::string decimal_pattern();
std::string quantity_pattern(Dimension dimension);
std::string count_pattern();
std::string share_pattern();

}  // namespace kvroof
