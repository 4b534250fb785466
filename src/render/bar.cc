#include "render/bar.h"

#include <algorithm>
#include <cmath>

namespace kvroof {

std::string bar(double share, int width, bool utf8) {
  if (!(share > 0) || width <= 0) return "";
  int steps = utf8 ? 8 : 1;
  int filled = std::max(1, int(std::floor(std::min(share, 1.0) * width * steps + 0.5)));
  std::string text;
  for (int column = 0; column < filled / steps; ++column) text += utf8 ? "█" : "#";
  static constexpr const char* eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  return utf8 ? text + eighths[filled % steps] : text;
}

}  // namespace kvroof
