// What a sweep runs over: any option of an estimate may be a list or a range, and becomes an axis.
//
// `a,b` is a list; `1..8` counts up by one, `1k..128k*2` multiplies, `1TB/s..8TB/s+1TB/s` adds; `all` is every model or
// device of the catalogue. Axes are sorted by what they change, the costliest first (model, device, layout, workload,
// batch), and the last one varies fastest; points are numbered in that order, so a sweep can start anywhere.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cli/setup_options.h"

namespace kvroof {

/// What must be worked out anew when an axis moves: its level and those after it.
enum class Level { model, device, layout, workload, batch };

struct SweepAxis {
  std::string name;  ///< of its option, without dashes
  Level level = Level::model;
  bool counts = false;  ///< its values are whole numbers
  std::vector<std::string> values;
  std::function<std::string&(SetupOptions&)> place;  ///< where a value goes
  std::vector<double> numbers = {};                  ///< of the values, where it counts
};

/// The axes of the options given, in order. An option with one value is an axis of one point.
std::vector<SweepAxis> axes_of(const SetupOptions& options, const Catalog& catalog);

/// The options as one would type them after `kvroof estimate`: what is given, in order.
std::string arguments_of(const SetupOptions& options);

/// Points of all axes; throws InputError beyond 10^15.
i64 points_of(const std::vector<SweepAxis>& axes);

/// The values of a list or range. `counts`: whole numbers, written out (`4k` becomes 4096).
std::vector<std::string> expanded(const std::string& option, const std::string& text, bool counts);

}  // namespace kvroof
