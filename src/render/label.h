// Placing labels: each goes to the cheapest of the places near what it names, off lines, points and other labels.
//
// A label has anchors, best first (the end of its line, then points along it). Around each anchor lie places at
// several sides and distances; a place costs by what it covers and how far it is. Placing runs twice, so that
// early labels can react to late ones.
#pragma once

#include <string>
#include <vector>

#include "render/svg.h"

namespace kvroof {

struct Spot {
  double x = 0, y = 0;
};

struct Stroke {
  Spot from, to;
};

struct Label {
  std::string text;
  std::vector<Spot> anchors;
  int ink = -1;
  bool right_only = false;  ///< at the end of a line: beside it, moved up or down as needed
};

struct PlacedLabel {
  Spot at;  ///< left end of the baseline
  Box box;
  Spot anchor;
};

/// Places for all labels, in their order, within `area`.
std::vector<PlacedLabel> place_labels(const std::vector<Label>& labels, const std::vector<Stroke>& lines,
                                      const std::vector<Box>& taken, const Box& area);

}  // namespace kvroof
