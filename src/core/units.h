// The one table of units: numbers as people write them, parsed and printed from the same rows.
//
// GB is 1e9 and GiB 2^30, always; a bandwidth is bytes per second, a rate of arithmetic flop per second
// (integer operations count as flops). Token counts take k and M as 1024 and 1024^2, as model cards do.
// Parsing knows no locale and no exceptions; each failure says what was expected.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/quantity.h"

namespace kvroof {

struct Unit {
  std::string_view name;
  Dimension dimension;
  double factor;  ///< base units in one of it
  bool printed;   ///< used for printing, not only read
};

std::span<const Unit> units();

inline constexpr Dimension bytes_dimension{.byte = 1};
inline constexpr Dimension seconds_dimension{.second = 1};
inline constexpr Dimension bandwidth_dimension{.byte = 1, .second = -1};
inline constexpr Dimension rate_dimension{.flop = 1, .second = -1};

/// Exactly one of value/error is meaningful.
struct ParsedNumber {
  std::optional<double> value;
  std::string error;
};

/// A decimal number without sign: `3`, `3.35`, `1e-3`. The rest of the text goes to `rest`.
std::optional<double> parse_decimal(std::string_view text, std::string_view* rest);

/// `80GiB`, `3.35 TB/s`, `30ms`, `989.4 TFLOPS`: a number and a unit of that dimension. Never negative, NaN or
/// infinite.
ParsedNumber parse_quantity(std::string_view text, Dimension dimension);

/// `32k` tokens, `128`, `1M`: a whole number in [least, most]; k and M are 1024 and 1024^2.
ParsedNumber parse_count(std::string_view text, i64 least, i64 most);

/// `20%` or `0.2`: a share in [0, 1].
ParsedNumber parse_share(std::string_view text);

}  // namespace kvroof
