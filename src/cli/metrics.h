// The figures of an estimate by name: one row each with its unit, which way is better, and where it comes from.
//
// Budgets, tolerances, baselines and tables all speak of these. To add a figure, add its row.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "cli/estimate_options.h"

namespace kvroof {

enum class MetricUnit { bytes, seconds, count, rate, dollars };
enum class Better { lower, higher };

struct Metric {
  const char* name;  ///< as people write it: `tpot`
  const char* key;   ///< as JSON has it, with the unit: `tpot_seconds`
  const char* what;
  MetricUnit unit;
  Better better;
  std::optional<double> (*value)(const Estimate& estimate);  ///< none where it does not arise

  /// Bytes and counts are exact; rates and times pass through floating-point functions.
  bool exact() const { return unit == MetricUnit::bytes || unit == MetricUnit::count; }
};

std::span<const Metric> metrics();
/// By name or key.
const Metric* find_metric(std::string_view name);
/// `34.2 GiB`, `15.8 ms`, `54`, `1,769 /s`, `$2.1`.
std::string metric_text(const Metric& metric, double value);
/// A value with its unit as people write it, or what is wrong with it.
struct MetricValue {
  std::optional<double> value;
  std::string error;
};
MetricValue parse_metric(const Metric& metric, std::string_view text);

}  // namespace kvroof
