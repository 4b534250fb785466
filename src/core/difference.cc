#include "core/difference.h"

#include <algorithm>
#include <cmath>

namespace kvroof {
namespace {

bool adds_up(const Node& n) { return n.parts.empty() || n.rule == Rule::sum || n.rule == Rule::rest; }

const Node* part_named(const Node& n, const std::string& label) {
  for (const Node& p : n.parts)
    if (p.label == label) return &p;
  return nullptr;
}

/// More of any part but the first leaves less of the rest.
double sign_in(const Node& whole, const Node& part) {
  return whole.rule == Rule::rest && &part != &whole.parts.front() ? -1 : 1;
}

Difference side(const Node& n, double sign, bool is_a);

Difference between(const Node& a, const Node& b, double sign) {
  Difference d{b.label, a.value, b.value, sign, b.measure, {}};
  if (!adds_up(a) || !adds_up(b) || a.parts.empty() || b.parts.empty()) return d;
  for (const Node& part : b.parts) {
    const Node* other = part_named(a, part.label);
    double s = sign * sign_in(b, part);
    d.parts.push_back(other ? between(*other, part, s) : side(part, s, false));
  }
  for (const Node& part : a.parts)
    if (!part_named(b, part.label)) d.parts.push_back(side(part, sign * sign_in(a, part), true));
  std::stable_sort(d.parts.begin(), d.parts.end(),
                   [](const Difference& x, const Difference& y) { return std::abs(x.value()) > std::abs(y.value()); });
  return d;
}

/// A part that only one side has.
Difference side(const Node& n, double sign, bool is_a) {
  return {n.label, is_a ? n.value : 0, is_a ? 0 : n.value, sign, n.measure, {}};
}

}  // namespace

Difference difference(const Node& a, const Node& b) { return between(a, b, 1); }

}  // namespace kvroof
