#include "core/measure.h"

namespace kvroof {

std::string_view name_of(Measure measure) {
  constexpr std::string_view names[] = {"bytes",
                                        "seconds",
                                        "count",
                                        "ratio",
                                        "bytes_per_second",
                                        "tokens_per_second",
                                        "requests_per_second",
                                        "dollars_per_hour",
                                        "dollars",
                                        "watts",
                                        "joules",
                                        "flag"};
  return names[int(measure)];
}

}  // namespace kvroof
