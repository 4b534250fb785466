// What this binary is: its version, and the date and hash of the catalogue compiled into it.
#pragma once

#include <string>

namespace kvroof {

std::string version();       ///< 0.1.0
std::string version_line();  ///< `kvroof 0.1.0, catalogue of 2026-09-01 (5f2c9d0a31b7)`

}  // namespace kvroof
