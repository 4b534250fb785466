// Numbers as people read them: rounded once, here, to four significant digits, with their unit.
//
// Capacities print in binary units, bandwidths and rates in decimal ones, as the unit table says. Nothing
// here depends on the locale.
#pragma once

#include <string>

#include "core/measure.h"
#include "core/quantity.h"

namespace kvroof {

std::string significant(double value, int digits = 4);  ///< 4.638, 75.8, 12,345
std::string count(double value);                        ///< 131,072: whole numbers in full
std::string size(Bytes bytes);                          ///< 16 GiB, 128 KiB
std::string duration(Seconds seconds);                  ///< 7.62 ms
/// 7.62 ms  (80 % range 6.55 ms to 8.61 ms)
std::string with_range(Seconds expected, Seconds low, Seconds high);
std::string bandwidth(Bandwidth rate);           ///< 3.35 TB/s
std::string flop_rate(FlopRate rate);            ///< 989.4 TFLOPS
std::string percent(double share);               ///< 12.3 %
std::string parameters(double number);           ///< 8.03 B
std::string speed_of(double tokens_per_second);  ///< 75.8 tok/s
std::string ratio(double value);                 ///< 1.23x
std::string money(double dollars);               ///< $12.40, $0.0231
/// By what it measures, with its unit.
std::string measured(double value, Measure measure);

}  // namespace kvroof
