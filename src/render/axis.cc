#include "render/axis.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "render/number.h"
#include "render/svg.h"

namespace kvroof {
namespace {

bool binary(AxisUnit m) { return m == AxisUnit::doublings || m == AxisUnit::tokens || m == AxisUnit::bytes; }

/// 1, 2 or 5 times a power of ten, at least `step`; never less than `least`.
double round_step(double step) {
  double power = std::pow(10.0, std::floor(std::log10(step) + 1e-9));
  for (double m : {1.0, 2.0, 5.0})
    if (m * power >= step * (1 - 1e-9)) return m * power;
  return 10 * power;
}

/// The unit a linear axis counts in, so that byte ticks are whole GiB and tokens whole k.
double unit_of(AxisUnit m, double high) {
  double unit = 1;
  if (m == AxisUnit::bytes || m == AxisUnit::tokens)
    while (unit * 1024 <= high && unit < 1e15) unit *= 1024;
  return unit;
}

void set_linear(Scale& s, double low, double high, int ticks) {
  if (s.axis.from_zero && low > 0) low = 0;
  if (high <= low) high = low + 1;
  double unit = unit_of(s.axis.unit, high);
  double step = round_step((high - low) / unit / ticks) * unit;
  if (s.axis.unit == AxisUnit::doublings || s.axis.unit == AxisUnit::tokens) step = std::max(step, 1.0);  // whole ones
  s.low = std::floor(low / step + 1e-9) * step;
  s.high = std::ceil(high / step - 1e-9) * step;
  int count = int(std::floor((s.high - s.low) / step + 0.5));
  for (int i = 0; i <= count; ++i) s.ticks.push_back(s.low + i * step);
}

/// Powers of two: every one, or every second, third, fifth or tenth.
void binary_ticks(Scale& s, int ticks) {
  double low = std::log2(s.low), high = std::log2(s.high);
  int step = 1;
  for (int candidate : {1, 2, 3, 4, 5, 10, 20, 40, 80}) {
    step = candidate;
    if ((high - low) / candidate <= ticks) break;
  }
  for (int e = int(std::ceil(low / step - 1e-9)) * step; e <= high + 1e-9; e += step)
    s.ticks.push_back(std::ldexp(1.0, e));
}

void decimal_ticks(Scale& s, int ticks) {
  double low = std::log10(s.low), high = std::log10(s.high);
  int step = std::max(1, int(std::ceil((high - low) / ticks - 1e-9)));
  for (int e = int(std::ceil(low / step - 1e-9)) * step; e <= high + 1e-9; e += step) {
    s.ticks.push_back(std::pow(10.0, e));
  }
  for (std::vector<double> between : {std::vector<double>{2, 5}, std::vector<double>{3}}) {
    double most = (high - low) * (double(between.size()) + 1);
    if (step > 1 || most > ticks + 1) continue;
    for (int e = int(std::floor(low)); e <= int(std::floor(high)); ++e)
      for (double m : between) {
        double v = m * std::pow(10.0, e);
        if (v >= s.low * (1 - 1e-9) && v <= s.high * (1 + 1e-9)) s.ticks.push_back(v);
      }
    break;
  }
  std::sort(s.ticks.begin(), s.ticks.end());
}

/// Ticks are sought a little beyond the values, and the axis reaches out to one found there.
void set_log(Scale& s, double low, double high, int ticks) {
  if (high <= low) low /= 2, high *= 2;
  double beyond = std::pow(high / low, 0.06);
  s.low = low / beyond;
  s.high = high * beyond;
  if (binary(s.axis.unit))
    binary_ticks(s, ticks);
  else
    decimal_ticks(s, ticks);
  s.low = s.ticks.empty() ? low : std::min(low, s.ticks.front());
  s.high = s.ticks.empty() ? high : std::max(high, s.ticks.back());
}

std::string thousands(double value) {
  struct {
    double factor;
    const char* suffix;
  } rows[] = {{1e12, "T"}, {1e9, "B"}, {1e6, "M"}, {1e4, "k"}};
  for (auto& row : rows)
    if (std::abs(value) >= row.factor * 0.99995) {
      double factor = row.factor == 1e4 ? 1e3 : row.factor;
      return std::abs(value / factor) >= 1e6 ? fmt::format("{:.0e}", value)
                                             : significant(value / factor, 3) + row.suffix;
    }
  return std::abs(value) < 1e-4 && value != 0 ? fmt::format("{:.0e}", value) : significant(value, 3);
}

std::string binary_thousands(double value) {
  if (value >= 1024.0 * 1024 * 1024) return significant(value / (1024.0 * 1024 * 1024), 3) + "G";
  if (value >= 1024.0 * 1024) return significant(value / (1024.0 * 1024), 3) + "M";
  return value >= 1024 ? significant(value / 1024, 3) + "k" : significant(value, 3);
}

}  // namespace

bool Scale::shows(double value) const { return std::isfinite(value) && (!axis.log || value > 0); }

double Scale::at(double value) const {
  double share = axis.log ? std::log(value / low) / std::log(high / low) : (value - low) / (high - low);
  return start + share * (end - start);
}

std::size_t Scale::text_stride() const {
  auto fits = [&](std::size_t stride) {
    double free_from = -1e9;
    for (std::size_t i = 0; i < ticks.size(); i += stride) {
      double half = text_width(tick_text(axis, ticks[i]), Face::tick) / 2;
      if (at(ticks[i]) - half < free_from) return false;
      free_from = at(ticks[i]) + half + 8;
    }
    return true;
  };
  std::size_t stride = 1;
  while (stride < ticks.size() && !fits(stride)) ++stride;
  return stride;
}

Scale scale_over(const Axis& axis, const std::vector<double>& values, double start, double end, int ticks) {
  Scale s{axis, 0, 1, start, end, {}};
  double low = 0, high = 0;
  bool any = false;
  for (double v : values) {
    if (!s.shows(v)) continue;
    low = any ? std::min(low, v) : v;
    high = any ? std::max(high, v) : v;
    any = true;
  }
  if (!any) low = axis.log ? 1 : 0, high = 10;
  axis.log ? set_log(s, low, high, ticks) : set_linear(s, low, high, ticks);
  return s;
}

std::string tick_text(const Axis& axis, double value) {
  switch (axis.unit) {
    case AxisUnit::tokens: return binary_thousands(value);
    case AxisUnit::doublings:
      return value >= 1 << 14 && std::fmod(value, 1024) == 0 ? binary_thousands(value) : significant(value, 6);
    case AxisUnit::bytes: return value == 0 ? "0" : size(Bytes{value});
    case AxisUnit::seconds: return value == 0 ? "0" : duration(Seconds{value});
    case AxisUnit::flop_rate: return value == 0 ? "0" : flop_rate(FlopRate{value});
    case AxisUnit::times: return significant(value, 3) + "x";
    case AxisUnit::dollars: return value == 0 ? "0" : "$" + thousands(value);
    case AxisUnit::number: break;
  }
  return thousands(value);
}

std::string short_words_of(const Axis& axis, double value) {
  if (!std::isfinite(value) || value <= 0) return words_of(axis, value);
  double unit = 1;
  if (axis.unit == AxisUnit::bytes)
    while (unit * 1024 <= value) unit *= 1024;
  double digit = std::pow(10.0, std::floor(std::log10(value / unit) + 1e-12) - 2);
  return words_of(axis, axis.unit == AxisUnit::tokens ? value : std::floor(value / unit / digit + 0.5) * digit * unit);
}

std::string words_of(const Axis& axis, double value) {
  std::string noun = axis.noun.empty() ? "" : " " + axis.noun;
  switch (axis.unit) {
    case AxisUnit::tokens:
    case AxisUnit::doublings: return count(value) + noun;
    case AxisUnit::bytes: return size(Bytes{value});
    case AxisUnit::seconds: return duration(Seconds{value});
    case AxisUnit::flop_rate: return flop_rate(FlopRate{value});
    case AxisUnit::times: return ratio(value);
    case AxisUnit::dollars: return money(value);
    case AxisUnit::number: break;
  }
  return significant(value) + noun;
}

}  // namespace kvroof
