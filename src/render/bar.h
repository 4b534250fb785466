// A bar of a table in the terminal: eighth blocks where the terminal shows UTF-8, '#' where it does not.
#pragma once

#include <string>

namespace kvroof {

/// A bar of `share` (0 to 1, clamped; NaN is empty) of `width` columns, without padding. Anything above zero
/// shows at least the thinnest mark, so that "little" and "nothing" look different.
std::string bar(double share, int width, bool utf8);

}  // namespace kvroof
