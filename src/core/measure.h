// What a number measures: decides how it is printed, how it is read, and the unit in its JSON key.
#pragma once

#include <string_view>

namespace kvroof {

enum class Measure {
  bytes,
  seconds,
  count,
  ratio,
  bandwidth,
  token_rate,        ///< tokens a second
  request_rate,      ///< requests a second
  dollars_per_hour,  ///< of all devices
  dollars,
  watts,
  joules,
  flag  ///< 0 or 1
};

/// bytes, seconds, count, tokens_per_second …
std::string_view name_of(Measure measure);

}  // namespace kvroof
