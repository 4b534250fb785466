// What would make a deployment fit: formats first, then a shorter context, then more devices.
#pragma once

#include <string>
#include <vector>

#include "core/setup.h"

namespace kvroof {

/// Flags, each of which alone would make the batch fit; empty when nothing tried does.
std::vector<std::string> fitting_flags(const Setup& setup);

}  // namespace kvroof
