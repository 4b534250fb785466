// The metrics that `check` keeps and judges: rows of the one table of metrics, with the way that is better.
//
// What follows from another (speed per user from TPOT, power from the devices) is left out: it would say a change
// twice.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "core/metric.h"

namespace kvroof {

enum class Better { lower, higher };

struct Judged {
  const Metric* metric = nullptr;
  Better better = Better::lower;
  std::string name, key;  ///< as people write it, and as JSON has it

  /// Bytes and counts are exact; times and rates pass through floating-point functions.
  bool exact() const { return metric->measure == Measure::bytes || metric->measure == Measure::count; }
};

std::span<const Judged> judged();
/// By name or key.
const Judged* find_judged(std::string_view name);
/// Words that may follow a value: `64 sequences`, `2.00/Mtok`.
inline constexpr std::string_view value_words[] = {"sequences", "tokens", "tok/s", "/Mtok"};
std::string judged_text(const Judged& judged, double value);
/// `30ms`, `64 sequences`, `2.00/Mtok`. Throws InputError.
double parse_judged(const Judged& judged, std::string_view text);

}  // namespace kvroof
