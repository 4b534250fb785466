// Why two results differ: the difference of their trees, part by part, the largest first.
//
// Parts are matched by label; one that only one side has counts as 0 on the other. The parts of a difference sum to it,
// because both trees' do.
#pragma once

#include "core/explain.h"

namespace kvroof {

/// One figure on both sides and what it adds to their difference, b minus a.
struct Difference {
  std::string label;
  double a = 0, b = 0;
  double sign = 1;  ///< -1 where more of the part means less of the whole
  Measure measure = Measure::count;
  std::vector<Difference> parts;
  /// What the part adds to the difference of the whole.
  double value() const { return a == b ? 0 : sign * (b - a); }
};

Difference difference(const Node& a, const Node& b);

}  // namespace kvroof
