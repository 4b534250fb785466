// "Did you mean": the nearest known word to one that is not.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kvroof {

/// Insertions, deletions, substitutions and neighbour swaps between the words, ignoring case.
int edit_distance(std::string_view a, std::string_view b);

/// The nearest word within about a third of its length; or one that contains or continues the text.
std::optional<std::string> nearest(std::string_view text, std::span<const std::string> words);

bool same_ignoring_case(std::string_view a, std::string_view b);
/// ASCII lower case, the same in every locale.
std::string lower(std::string_view text);

/// An edge between the user and a file: thrown by catalog and cli, caught in main, printed as is; exit code 2.
struct InputError {
  std::string message;
};

}  // namespace kvroof
