#include "core/units.h"

#include <cmath>

namespace kvroof {
namespace {

constexpr double KiB = 1024, MiB = KiB * 1024, GiB = MiB * 1024, TiB = GiB * 1024, PiB = TiB * 1024;

constexpr Unit known_units[] = {
    {"B", bytes_dimension, 1, true},
    {"kB", bytes_dimension, 1e3, false},
    {"KB", bytes_dimension, 1e3, false},
    {"MB", bytes_dimension, 1e6, false},
    {"GB", bytes_dimension, 1e9, false},
    {"TB", bytes_dimension, 1e12, false},
    {"PB", bytes_dimension, 1e15, false},
    {"KiB", bytes_dimension, KiB, true},
    {"MiB", bytes_dimension, MiB, true},
    {"GiB", bytes_dimension, GiB, true},
    {"TiB", bytes_dimension, TiB, true},
    {"PiB", bytes_dimension, PiB, true},
    {"B/s", bandwidth_dimension, 1, true},
    {"kB/s", bandwidth_dimension, 1e3, true},
    {"MB/s", bandwidth_dimension, 1e6, true},
    {"GB/s", bandwidth_dimension, 1e9, true},
    {"TB/s", bandwidth_dimension, 1e12, true},
    {"PB/s", bandwidth_dimension, 1e15, true},
    {"GiB/s", bandwidth_dimension, GiB, false},
    {"ns", seconds_dimension, 1e-9, true},
    {"us", seconds_dimension, 1e-6, true},
    {"ms", seconds_dimension, 1e-3, true},
    {"s", seconds_dimension, 1, true},
    {"min", seconds_dimension, 60, false},
    {"h", seconds_dimension, 3600, false},
    {"GFLOPS", rate_dimension, 1e9, true},
    {"TFLOPS", rate_dimension, 1e12, true},
    {"PFLOPS", rate_dimension, 1e15, true},
    {"TOPS", rate_dimension, 1e12, false},
    {"TFLOP/s", rate_dimension, 1e12, false},
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::string quoted(std::string_view text) {
  std::string out(1, '\'');
  out += text;
  out += '\'';
  return out;
}

std::string units_of(Dimension dimension) {
  std::string list;
  for (const Unit& u : known_units)
    if (u.dimension == dimension && (u.printed || u.factor == 1e9 || u.factor == 1e12)) {
      if (!list.empty()) list += ", ";
      list += u.name;
    }
  return list;
}

const Unit* unit_named(std::string_view name, Dimension dimension) {
  for (const Unit& u : known_units)
    if (u.name == name && u.dimension == dimension) return &u;
  return nullptr;
}

const Unit* any_unit_named(std::string_view name) {
  for (const Unit& u : known_units)
    if (u.name == name) return &u;
  return nullptr;
}

std::string_view what_it_is(Dimension dimension) {
  if (dimension == bytes_dimension) return "a size";
  if (dimension == bandwidth_dimension) return "a bandwidth";
  if (dimension == seconds_dimension) return "a time";
  return "a rate of arithmetic";
}

/// Digits into a mantissa of at most 19 digits; powers of ten up to 22 are exact, so short decimals round once.
struct Mantissa {
  unsigned long long digits = 0;
  int exponent = 0;
  bool any = false;
  void push(char c, bool fraction) {
    any = true;
    if (digits < 1000000000000000000ULL) {
      digits = digits * 10 + static_cast<unsigned long long>(c - '0');
      exponent -= fraction;
    } else {
      exponent += !fraction;
    }
  }
  double value() const {
    double power = std::pow(10.0, std::abs(exponent));
    return exponent < 0 ? double(digits) / power : double(digits) * power;
  }
};

}  // namespace

std::span<const Unit> units() { return known_units; }

std::optional<double> parse_decimal(std::string_view text, std::string_view* rest) {
  std::size_t i = 0;
  Mantissa m;
  while (i < text.size() && is_digit(text[i])) m.push(text[i++], false);
  if (i < text.size() && text[i] == '.') {
    ++i;
    while (i < text.size() && is_digit(text[i])) m.push(text[i++], true);
  }
  if (!m.any) return std::nullopt;
  // An exponent only when digits follow: `3e` is a number and a unit that starts with e.
  std::size_t j = i;
  if (j < text.size() && (text[j] == 'e' || text[j] == 'E')) {
    bool negative = ++j < text.size() && text[j] == '-';
    if (j < text.size() && (text[j] == '-' || text[j] == '+')) ++j;
    int exponent = 0;
    std::size_t first = j;
    while (j < text.size() && is_digit(text[j]) && exponent < 100000) exponent = exponent * 10 + (text[j++] - '0');
    if (j > first) {
      m.exponent += negative ? -exponent : exponent;
      i = j;
    }
  }
  if (rest) *rest = text.substr(i);
  double value = m.digits == 0 ? 0 : m.value();
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

ParsedNumber parse_quantity(std::string_view text, Dimension dimension) {
  text = trimmed(text);
  std::string_view rest;
  std::optional<double> number = parse_decimal(text, &rest);
  std::string expected = std::string(what_it_is(dimension)) + " such as " +
                         (dimension == bytes_dimension       ? "80GiB"
                          : dimension == bandwidth_dimension ? "3.35TB/s"
                          : dimension == seconds_dimension   ? "30ms"
                                                             : "989 TFLOPS");
  if (!number) return {{}, quoted(text) + " is not " + expected};
  rest = trimmed(rest);
  if (rest.empty()) return {{}, quoted(text) + " has no unit; expected " + expected};
  if (const Unit* unit = unit_named(rest, dimension)) {
    double value = *number * unit->factor;
    if (!std::isfinite(value)) return {{}, quoted(text) + " is too large"};
    return {value, ""};
  }
  if (const Unit* other = any_unit_named(rest))
    return {{}, quoted(text) + " is " + std::string(what_it_is(other->dimension)) + "; expected " + expected};
  return {{}, "unknown unit " + quoted(rest) + " in " + quoted(text) + "; expected one of " + units_of(dimension)};
}

ParsedNumber parse_count(std::string_view text, i64 least, i64 most) {
  text = trimmed(text);
  std::string_view rest;
  std::string range = std::to_string(least) + " to " + std::to_string(most);
  std::optional<double> number = parse_decimal(text, &rest);
  double factor = rest == "k" || rest == "K" ? 1024 : rest == "M" ? 1024 * 1024 : rest.empty() ? 1 : 0;
  if (!number || factor == 0) return {{}, quoted(text) + " is not a whole number such as 4096, 32k or 1M"};
  double value = *number * factor;
  if (value != std::floor(value)) return {{}, quoted(text) + " is not a whole number"};
  if (value < double(least) || value > double(most)) return {{}, quoted(text) + " is out of range; expected " + range};
  return {value, ""};
}

ParsedNumber parse_share(std::string_view text) {
  text = trimmed(text);
  std::string_view rest;
  std::optional<double> number = parse_decimal(text, &rest);
  if (!number || !(rest.empty() || rest == "%")) return {{}, quoted(text) + " is not a share such as 20% or 0.2"};
  double value = rest == "%" ? *number / 100 : *number;
  if (value > 1) return {{}, quoted(text) + " is more than 100%"};
  return {value, ""};
}

}  // namespace kvroof
