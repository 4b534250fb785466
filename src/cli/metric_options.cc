#include "cli/metric_options.h"

#include <fmt/format.h>

#include "catalog/schema.h"
#include "catalog/suggest.h"
#include "cli/options.h"
#include "core/units.h"
#include "render/number.h"

namespace kvroof {
namespace {

int width_of(Measure measure) {
  switch (measure) {
    case Measure::flag: return 4;
    case Measure::count: return 11;
    case Measure::token_rate: return 13;
    case Measure::watts:
    case Measure::dollars_per_hour: return 10;
    default: return 9;
  }
}

/// Measures that are a plain number, with the unit that may follow it.
constexpr struct {
  Measure measure;
  std::string_view unit, example;
} plain_numbers[] = {{Measure::token_rate, "/s", "50 or 50/s"},
                     {Measure::request_rate, "/s", "4 or 4/s"},
                     {Measure::dollars_per_hour, "/h", "40/h"},
                     {Measure::dollars, "/Mtok", "0.50 or 5/Mtok"},
                     {Measure::watts, "W", "700W"},
                     {Measure::joules, "J", "0.5J"}};

}  // namespace

std::string value_pattern(Measure measure) {
  if (measure == Measure::bytes) return quantity_pattern(bytes_dimension);
  if (measure == Measure::seconds) return quantity_pattern(seconds_dimension);
  if (measure == Measure::flag) return "(yes|no|true|false|1|0)";
  if (measure == Measure::count) return count_pattern();
  std::string unit;
  for (const auto& row : plain_numbers)
    if (row.measure == measure) unit = "(" + std::string(row.unit) + ")?";
  return "\\$?" + decimal_pattern() + unit;
}

double metric_value(const std::string& option, const std::string& text, Measure measure) {
  auto quantity = [&](Dimension dimension) {
    ParsedNumber n = parse_quantity(text, dimension);
    if (!n.value) throw InputError{option + ": " + n.error + "\n"};
    return *n.value;
  };
  if (measure == Measure::bytes) return quantity(bytes_dimension);
  if (measure == Measure::seconds) return quantity(seconds_dimension);
  if (measure == Measure::flag && (text == "yes" || text == "true" || text == "1")) return 1;
  if (measure == Measure::flag && (text == "no" || text == "false" || text == "0")) return 0;
  if (measure == Measure::flag) throw InputError{option + ": '" + text + "' is not yes or no\n"};
  if (measure == Measure::count) {
    ParsedNumber n = parse_count(text, 0, i64(1) << 53);
    if (!n.value) throw InputError{option + ": " + n.error + "\n"};
    return *n.value;
  }
  std::string_view rest;
  std::optional<double> number = parse_decimal(text.starts_with("$") ? std::string_view(text).substr(1) : text, &rest);
  for (const auto& row : plain_numbers)
    if (row.measure == measure && (!number || !(rest.empty() || rest == row.unit)))
      throw InputError{fmt::format("{}: '{}' is not a number such as {}\n", option, text, row.example)};
  if (!number) throw InputError{option + ": '" + text + "' is not a number\n"};
  return *number;
}

const Metric& metric_named(const std::string& option, const std::string& name) {
  if (const Metric* found = find_metric(name)) return *found;
  std::vector<std::string> names;
  std::string list;
  for (const Metric& m : metrics()) {
    names.emplace_back(m.name);
    list += (list.empty() ? "" : ", ") + names.back();
  }
  std::optional<std::string> near = nearest(name, names);
  throw InputError{option + ": unknown metric '" + name + "'" + (near ? "; did you mean '" + *near + "'?" : "") + "\n" +
                   wrapped("  metrics: " + list, 80, 2) + "\n"};
}

std::vector<const Metric*> metrics_named(const std::string& option, const std::string& list) {
  std::vector<const Metric*> found;
  for (const std::string& name : pieces_of(option, list)) found.push_back(&metric_named(option, name));
  return found;
}

bool Limit::met(const Outcome& outcome) const {
  std::optional<double> found = metric->number(outcome);
  return found && (at_most ? *found <= value : *found >= value);
}

Limit limit_of(const std::string& option, const std::string& text, bool at_most) {
  std::size_t equals = text.find('=');
  if (equals == std::string::npos)
    throw InputError{option + ": '" + text + "' is not METRIC=VALUE such as tpot=30ms\n"};
  const Metric& m = metric_named(option, text.substr(0, equals));
  if (!m.number) throw InputError{option + ": " + std::string(m.name) + " is a word and has no bounds\n"};
  return {&m, metric_value(option + " " + std::string(m.name), text.substr(equals + 1), m.measure), at_most};
}

Cell cell_of(const Metric& m, const Outcome& outcome) {
  if (m.word) return Cell::of(m.word(outcome));
  std::optional<double> value = m.number(outcome);
  return value ? Cell::of(*value, m.measure) : Cell{};
}

RowColumn column_of(const Metric& m) {
  int width = m.word ? 17 : width_of(m.measure);
  return {std::string(m.name), std::string(m.key), std::max(width, columns_of(m.name)), m.word != nullptr};
}

std::string list_of_metrics() {
  std::string out;
  for (const Metric& m : metrics())
    out += fmt::format("  {:<14}{}{}\n", m.name, m.what, m.needs_load ? " (needs a load)" : "");
  return out;
}

}  // namespace kvroof
