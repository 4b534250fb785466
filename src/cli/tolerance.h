// How much a metric may move, and what it must meet: the words of a scenario file and their judgement.
//
// A change beyond `error` fails; that limit is 0 unless said otherwise, so estimates are exact by default (rates to
// 1e-9, since they pass through floating point). One that passes but is beyond `warn` is a warning. A limit is a share
// (`2%`) or in the metric's own unit (`1GiB`, `3`); `direction: higher` judges falls alone and lets the metric rise
// freely, and a signed limit says the same in short: `-1` may fall by one and rise by any amount.
#pragma once

#include <string>

#include "cli/judged.h"

namespace kvroof {

enum class Direction { both, higher, lower };  ///< the way a metric may move freely
inline constexpr std::string_view direction_words[] = {"both", "higher", "lower"};  ///< in the enum's order
inline constexpr std::string_view relations[] = {"<=", ">=", "<", ">"};             ///< of a budget, longest first

struct Allowance {
  double share = 0;     ///< of the baseline
  double absolute = 0;  ///< in the metric's unit
  bool unlimited = false;
};

struct Tolerance {
  Allowance warn{0, 0, true}, error;
  Direction direction = Direction::both;
};

enum class Verdict { same, within, better, worse };

/// An absolute promise: `< 30ms`, `64 sequences`.
struct Budget {
  const Judged* metric = nullptr;
  std::string relation;  ///< <, <=, > or >=
  double value = 0;
  std::string text;  ///< as written

  bool met(double measured) const;
};

/// `exact`, `2%`, `-1`, `5ms` of one limit. Throws InputError with what is wrong.
Tolerance parse_tolerance(const Judged& metric, const std::string& text);
/// One limit of a mapping, without a sign.
Allowance parse_allowance(const Judged& metric, const std::string& text);
Direction parse_direction(const std::string& text);
Budget parse_budget(const Judged& metric, const std::string& text);

Verdict judge(const Judged& metric, const Tolerance& tolerance, double before, double now);
/// A change that passes but is more than `warn`.
bool warns(const Judged& metric, const Tolerance& tolerance, double before, double now);

}  // namespace kvroof
