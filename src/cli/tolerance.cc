#include "cli/tolerance.h"

#include <cmath>

#include "catalog/suggest.h"
#include "core/units.h"

namespace kvroof {
namespace {

/// The last digits of a rate depend on the machine's floating-point library.
constexpr double rounding = 1e-9;

bool same(const Judged& metric, double before, double now) {
  if (metric.exact()) return before == now;
  return std::abs(now - before) <= rounding * std::max(std::abs(before), std::abs(now));
}

/// A limit counts up to and including itself; the rounding of its own arithmetic is not held against it.
bool beyond(const Allowance& limit, double before, double now) {
  if (limit.unlimited) return false;
  double allowed = limit.absolute + limit.share * std::abs(before);
  return std::abs(now - before) > allowed * (1 + rounding);
}

bool is_free(const Tolerance& tolerance, double before, double now) {
  return tolerance.direction == (now > before ? Direction::higher : Direction::lower);
}

std::string trimmed(std::string text) {
  while (!text.empty() && text.front() == ' ') text.erase(0, 1);
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

}  // namespace

bool Budget::met(double measured) const {
  if (relation == "<") return measured < value;
  if (relation == "<=") return measured <= value;
  if (relation == ">") return measured > value;
  return measured >= value;
}

Allowance parse_allowance(const Judged& metric, const std::string& text) {
  if (text == "exact") return {};
  if (!text.empty() && text.back() == '%') {
    std::string_view rest;
    std::optional<double> number = parse_decimal(text, &rest);
    if (!number || rest != "%") throw InputError{"'" + text + "' is not a share such as 2%"};
    return {*number / 100, 0, false};
  }
  return {0, parse_judged(metric, text), false};
}

Tolerance parse_tolerance(const Judged& metric, const std::string& text) {
  Tolerance tolerance;
  std::string limit = trimmed(text);
  if (!limit.empty() && (limit[0] == '-' || limit[0] == '+')) {
    tolerance.direction = limit[0] == '-' ? Direction::higher : Direction::lower;
    limit.erase(0, 1);
  }
  tolerance.error = parse_allowance(metric, limit);
  return tolerance;
}

Direction parse_direction(const std::string& text) {
  for (int i = 0; i < 3; ++i)
    if (text == direction_words[i]) return Direction(i);
  throw InputError{"'" + text + "' is not higher, lower or both"};
}

Budget parse_budget(const Judged& metric, const std::string& text) {
  Budget budget{&metric, metric.better == Better::lower ? "<=" : ">=", 0, text};
  std::string value = trimmed(text);
  for (std::string_view relation : relations)
    if (value.rfind(relation, 0) == 0) {
      budget.relation = relation;
      value = trimmed(value.substr(budget.relation.size()));
      break;
    }
  budget.value = parse_judged(metric, value);
  return budget;
}

Verdict judge(const Judged& metric, const Tolerance& tolerance, double before, double now) {
  if (same(metric, before, now)) return Verdict::same;
  if (is_free(tolerance, before, now) || !beyond(tolerance.error, before, now)) return Verdict::within;
  return (now < before) == (metric.better == Better::lower) ? Verdict::better : Verdict::worse;
}

bool warns(const Judged& metric, const Tolerance& tolerance, double before, double now) {
  return judge(metric, tolerance, before, now) == Verdict::within && !is_free(tolerance, before, now) &&
         beyond(tolerance.warn, before, now);
}

}  // namespace kvroof
