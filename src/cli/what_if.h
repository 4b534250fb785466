// What would make a deployment fit: formats first, then a shorter context, then more devices.
#pragma once

#include <string>
#include <vector>

#include "core/step.h"

namespace kvroof {

/// All an estimate rests on.
struct Setup {
  Model model;
  Device device;
  Deployment d;
  Engine engine;
  RangeRule range;
  Workload w;
  std::vector<std::string> overrides = {};
  bool reshaped = false;  ///< a what-if changed the model itself, so no engine can run it
};

/// Memory of the tightest rank.
Memory memory_of(const Setup& setup);

/// Flags, each of which alone would make the batch fit; empty when nothing tried does.
std::vector<std::string> fitting_flags(const Setup& setup);

}  // namespace kvroof
