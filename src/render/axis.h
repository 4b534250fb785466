// One axis of a chart: what it measures, how a value becomes a place on it, and the ticks a person would choose.
#pragma once

#include <string>
#include <vector>

namespace kvroof {

/// What an axis counts, which decides its ticks and words. `number` takes k, M and B as thousands; `tokens` and
/// `doublings` tick in powers of two (tokens: 8k = 8,192); a bandwidth-like rate is a `number` with a noun.
enum class AxisUnit { number, doublings, tokens, bytes, seconds, flop_rate, times, dollars };

/// Values are in base units. `key` names the column in csv and json (`cache_bytes`).
struct Axis {
  std::string title;
  std::string key;
  AxisUnit unit = AxisUnit::number;
  bool log = false;
  bool from_zero = true;  ///< a linear axis starts at zero, as lengths must
  std::string noun = {};  ///< after a number in words: "tok/s"
};

/// An axis with its ends in values and in pixels.
struct Scale {
  Axis axis;
  double low = 0, high = 1;   ///< in values
  double start = 0, end = 1;  ///< in pixels
  std::vector<double> ticks;

  double at(double value) const;
  /// Every how many-th tick has room for its text.
  std::size_t text_stride() const;
  bool shows(double value) const;  ///< finite, and above zero on a log axis
};

/// A scale over all of the values, rounded out to what ticks well; `ticks` is about how many there is room for.
Scale scale_over(const Axis& axis, const std::vector<double>& values, double start, double end, int ticks);

/// A tick's text: `64k`, `1 GiB`, `20 ms`, `1 PFLOPS`, `2x`.
std::string tick_text(const Axis& axis, double value);
/// The value in words, for tooltips and labels: `8,192 tokens`, `1.25 GiB`, `31.7 tok/s`.
std::string words_of(const Axis& axis, double value);
/// The same with three digits: `2.81 GiB`.
std::string short_words_of(const Axis& axis, double value);

}  // namespace kvroof
