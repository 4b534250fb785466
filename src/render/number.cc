#include "render/number.h"

#include <fmt/format.h>

#include <cmath>

#include "core/units.h"

namespace kvroof {
namespace {

std::string grouped(std::string digits) {
  std::size_t point = digits.find('.');
  std::size_t end = point == std::string::npos ? digits.size() : point;
  std::size_t first = !digits.empty() && digits[0] == '-' ? 1 : 0;
  for (std::size_t i = end; i > first + 3; i -= 3) digits.insert(i - 3, ",");
  return digits;
}

std::string without_trailing_zeros(std::string text) {
  if (text.find('.') == std::string::npos) return text;
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text == "-0" ? "0" : text;
}

/// The largest printed unit that leaves at least one whole.
std::string with_unit(double value, Dimension dimension, int digits = 4) {
  const Unit* best = nullptr;
  const Unit* least = nullptr;
  for (const Unit& u : units()) {
    if (!(u.dimension == dimension) || !u.printed) continue;
    if (!least || u.factor < least->factor) least = &u;
    if (std::abs(value) >= u.factor * 0.99995 && (!best || u.factor > best->factor)) best = &u;
  }
  if (!best) best = least;
  if (value == 0) best = least;
  return significant(value / best->factor, digits) + " " + std::string(best->name);
}

}  // namespace

std::string significant(double value, int digits) {
  if (!std::isfinite(value)) return value > 0 ? "unbounded" : "unknown";
  if (value == 0) return "0";
  int magnitude = int(std::floor(std::log10(std::abs(value))));
  int decimals = std::max(0, digits - 1 - magnitude);
  return grouped(without_trailing_zeros(fmt::format("{:.{}f}", value, std::min(decimals, 12))));
}

std::string count(double value) { return grouped(fmt::format("{:.0f}", value)); }
std::string size(Bytes bytes) { return with_unit(bytes.value, bytes_dimension); }
std::string duration(Seconds seconds) {
  return seconds.value == 0 ? "0 ms" : with_unit(seconds.value, seconds_dimension);
}

std::string with_range(Seconds expected, Seconds low, Seconds high) {
  return fmt::format("{}  (80 % range {} to {})", duration(expected), duration(low), duration(high));
}
std::string bandwidth(Bandwidth rate) { return with_unit(rate.value, bandwidth_dimension); }
std::string flop_rate(FlopRate rate) { return with_unit(rate.value, rate_dimension); }
std::string percent(double share) { return significant(share * 100, 3) + " %"; }
std::string speed_of(double tokens_per_second) { return significant(tokens_per_second) + " tok/s"; }
std::string ratio(double value) { return significant(value, 3) + "x"; }

std::string money(double dollars) {
  return dollars >= 1 || dollars == 0 ? "$" + grouped(fmt::format("{:.2f}", dollars)) : "$" + significant(dollars, 3);
}

std::string measured(double value, Measure measure) {
  switch (measure) {
    case Measure::bytes: return size({value});
    case Measure::seconds: return duration({value});
    case Measure::bandwidth: return bandwidth({value});
    case Measure::count: return value == std::floor(value) ? count(value) : significant(value, 3);
    case Measure::ratio: return ratio(value);
    case Measure::token_rate: return speed_of(value);
    case Measure::request_rate: return significant(value, 3) + " req/s";
    case Measure::dollars_per_hour: return money(value) + "/h";
    case Measure::dollars: return money(value);
    case Measure::watts: return significant(value) + " W";
    case Measure::joules: return significant(value, 3) + " J";
    case Measure::flag: return value != 0 ? "yes" : "no";
  }
  return {};
}

std::string parameters(double number) {
  if (number >= 0.99995e12) return significant(number / 1e12, 4) + " T";
  if (number >= 0.99995e9) return significant(number / 1e9, 4) + " B";
  if (number >= 0.99995e6) return significant(number / 1e6, 4) + " M";
  return count(number);
}

}  // namespace kvroof
