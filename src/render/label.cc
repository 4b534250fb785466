#include "render/label.h"

#include <algorithm>
#include <cmath>

namespace kvroof {
namespace {

/// Length of a stroke inside a box (Liang and Barsky's clipping).
double inside(const Stroke& s, const Box& b) {
  double dx = s.to.x - s.from.x, dy = s.to.y - s.from.y, enter = 0, leave = 1;
  auto clip = [&](double direction, double distance) {
    if (direction == 0) return distance >= 0;
    double t = distance / direction;
    direction < 0 ? enter = std::max(enter, t) : leave = std::min(leave, t);
    return true;
  };
  bool meets = clip(-dx, s.from.x - b.left) && clip(dx, b.right - s.from.x) && clip(-dy, s.from.y - b.top) &&
               clip(dy, b.bottom - s.from.y);
  return meets && leave > enter ? (leave - enter) * std::hypot(dx, dy) : 0;
}

double area_of(const Box& b) { return std::max(0.0, b.right - b.left) * std::max(0.0, b.bottom - b.top); }

double shared_area(const Box& a, const Box& b) {
  return area_of(
      {std::max(a.left, b.left), std::max(a.top, b.top), std::min(a.right, b.right), std::min(a.bottom, b.bottom)});
}

struct Place {
  Spot at;
  double cost;  ///< of being far from the best place
};

/// Baseline starts around an anchor, for a text of that width.
std::vector<Place> places_around(Spot a, double width, bool right_only) {
  std::vector<Place> places;
  constexpr double middle = 5;  // from a text's middle to its baseline
  if (right_only) {
    for (int step = 0; step <= 80; ++step)
      for (int sign : {-1, 1}) places.push_back({{a.x + 10, a.y + middle + sign * step * 2.0}, step * 1.0});
    return places;
  }
  double cost = 0;
  for (double far : {0.0, 10.0, 24.0, 44.0, 70.0, 100.0}) {
    double up = a.y - 10 - far, down = a.y + 20 + far;
    for (Spot at : {Spot{a.x + 10 + far, a.y + middle},
                    {a.x + 6, up},
                    {a.x + 6, down},
                    {a.x - width / 2, up},
                    {a.x - width / 2, down},
                    {a.x - width - 6, up},
                    {a.x - width - 6, down},
                    {a.x - width - 10 - far, a.y + middle}})
      places.push_back({at, cost += 0.5});
    cost += 14;
  }
  return places;
}

}  // namespace

std::vector<PlacedLabel> place_labels(const std::vector<Label>& labels, const std::vector<Stroke>& lines,
                                      const std::vector<Box>& taken, const Box& area) {
  std::vector<PlacedLabel> placed(labels.size());
  std::vector<bool> done(labels.size(), false);
  std::vector<std::size_t> order(labels.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return labels[a].anchors.front().y < labels[b].anchors.front().y;
  });
  for (int round = 0; round < 2; ++round)
    for (std::size_t i : order) {
      double best = 1e18;
      double width = text_width(labels[i].text, Face::label);
      for (std::size_t k = 0; k < labels[i].anchors.size(); ++k)
        for (const Place& p : places_around(labels[i].anchors[k], width, labels[i].right_only)) {
          Box box = text_box(p.at.x, p.at.y, labels[i].text, Face::label, Align::left);
          Box wide{box.left - 2, box.top - 1.5, box.right + 2, box.bottom + 1.5};
          double outside = area_of(wide) - shared_area(wide, area);
          double cost = p.cost + 9 * double(k) + 50 * outside;
          for (const Stroke& s : lines) cost += 5 * inside(s, wide);
          for (const Box& b : taken) cost += 2 * shared_area(b, wide);
          for (std::size_t j = 0; j < labels.size(); ++j)
            if (j != i && done[j]) cost += 40 * shared_area(placed[j].box, wide);
          if (cost >= best) continue;
          best = cost;
          placed[i] = {p.at, box, labels[i].anchors[k]};
        }
      done[i] = true;
    }
  return placed;
}

}  // namespace kvroof
