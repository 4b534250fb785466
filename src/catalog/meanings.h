// What the keys of a catalogue file mean, in a line each: what an editor shows beside a key.
#pragma once

#include <span>
#include <string_view>

namespace kvroof {

/// A key with as many of the keys around it as tell it from others: `window`, `kernels.attention.engine`.
struct Meaning {
  std::string_view path;
  std::string_view what;
};

std::span<const Meaning> meanings();
/// Of the longest row that ends the path (`models.layers.attention.sliding.window`); empty when there is none.
std::string_view meaning_of(std::string_view path);

}  // namespace kvroof
