#include "cli/version.h"

#include <fmt/format.h>

#include "catalog/built_in.h"

namespace kvroof {

std::string version() { return KVROOF_VERSION; }

std::string version_line() {
  return fmt::format("kvroof {}, catalogue of {} ({})", version(), built_in_date(), built_in_hash());
}

}  // namespace kvroof
