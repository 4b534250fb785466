// Any bytes as a count, a share or a quantity with a unit: a finite number in its bounds, or a reason.
#include <cmath>
#include <cstdint>
#include <cstdlib>

#include "core/units.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const kvroof::ParsedNumber& n : {kvroof::parse_count(text, 1, 1 << 20), kvroof::parse_share(text),
                                        kvroof::parse_quantity(text, kvroof::bytes_dimension),
                                        kvroof::parse_quantity(text, kvroof::bandwidth_dimension)}) {
    if (n.value.has_value() == !n.error.empty()) std::abort();
    if (n.value && !std::isfinite(*n.value)) std::abort();
  }
  return 0;
}
