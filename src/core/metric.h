// The one table of figures an estimate has: a name, a key, what it measures and how to get it.
//
// A sweep's columns, a plan's objectives, a comparison's rows and the limits of `--min` and `--max` are rows of it.
// What is unknown or was not asked for (no price, no load, a batch that does not fit) is absent. To add a metric,
// add a row.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "core/measure.h"
#include "core/setup.h"

namespace kvroof {

/// A setup and what was computed for it.
struct Outcome {
  const Setup& setup;
  const Memory& memory;
  const Step* step = nullptr;        ///< null where the batch does not fit
  const Serving* serving = nullptr;  ///< null without a load, or where the load can't be served
  bool loaded = false;               ///< a load was asked for: without an answer to it there is no speed
};

/// Exactly one of number and word is set.
struct Metric {
  std::string_view name;  ///< as a user writes it
  std::string_view key;   ///< in JSON and CSV: with its unit
  Measure measure = Measure::count;
  std::string_view what;
  std::optional<double> (*number)(const Outcome&) = nullptr;
  std::string_view (*word)(const Outcome&) = nullptr;
  bool needs_load = false;  ///< only `--input`, `--output` and `--concurrency` or `--rate` give it
  bool of_rank = false;     ///< of the tightest rank: where a batch does not fit, the batch decides which that is
};

std::span<const Metric> metrics();
/// By name or key; null when there is none.
const Metric* find_metric(std::string_view name);
/// A row known to exist.
const Metric& metric(std::string_view name);

}  // namespace kvroof
