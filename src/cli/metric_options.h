// Metrics as a user writes them: `--metrics tpot,fits`, `--max tpot=30ms`, `--min max_sequences=8`.
#pragma once

#include <string>
#include <vector>

#include "core/metric.h"
#include "render/rows.h"

namespace kvroof {

/// A metric by name or key; throws InputError with the nearest name.
const Metric& metric_named(const std::string& option, const std::string& name);
std::vector<const Metric*> metrics_named(const std::string& option, const std::string& list);

/// A value of the measure as a user writes it, in base units. Throws InputError naming the option.
double metric_value(const std::string& option, const std::string& text, Measure measure);

/// The regular expression of such values, without anchors.
std::string value_pattern(Measure measure);

/// A bound on a metric. What is absent does not meet it.
struct Limit {
  const Metric* metric = nullptr;
  double value = 0;
  bool at_most = true;
  bool met(const Outcome& outcome) const;
};

/// `METRIC=VALUE` with the metric's unit. Throws InputError.
Limit limit_of(const std::string& option, const std::string& text, bool at_most);

Cell cell_of(const Metric& metric, const Outcome& outcome);
RowColumn column_of(const Metric& metric);

/// Name, unit and meaning of every metric, as text.
std::string list_of_metrics();

}  // namespace kvroof
