#include "core/units.h"

#include <charconv>
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

}  // namespace

std::span<const Unit> units() { return known_units; }

std::optional<double> parse_decimal(std::string_view text, std::string_view* rest) {
  // The library would also take a sign, `inf` and `nan`.
  if (text.empty() || !(is_digit(text[0]) || text[0] == '.')) return std::nullopt;
  double value = 0;
  std::from_chars_result read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec != std::errc{}) return std::nullopt;
  if (rest) *rest = text.substr(std::size_t(read.ptr - text.data()));
  return value;
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
