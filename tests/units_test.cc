// The unit table, exhaustively: every unit's factor, and what is refused.
#include "core/units.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <map>

#include "render/number.h"

namespace kvroof {
namespace {

TEST_CASE("each unit has the factor it says") {
  const std::map<std::string, double> factors = {{"B", 1},
                                                 {"kB", 1e3},
                                                 {"KB", 1e3},
                                                 {"MB", 1e6},
                                                 {"GB", 1e9},
                                                 {"TB", 1e12},
                                                 {"PB", 1e15},
                                                 {"KiB", 1024.0},
                                                 {"MiB", 1048576.0},
                                                 {"GiB", 1073741824.0},
                                                 {"TiB", 1099511627776.0},
                                                 {"PiB", 1125899906842624.0},
                                                 {"B/s", 1},
                                                 {"kB/s", 1e3},
                                                 {"MB/s", 1e6},
                                                 {"GB/s", 1e9},
                                                 {"TB/s", 1e12},
                                                 {"PB/s", 1e15},
                                                 {"GiB/s", 1073741824.0},
                                                 {"ns", 1e-9},
                                                 {"us", 1e-6},
                                                 {"ms", 1e-3},
                                                 {"s", 1},
                                                 {"min", 60},
                                                 {"h", 3600},
                                                 {"GFLOPS", 1e9},
                                                 {"TFLOPS", 1e12},
                                                 {"PFLOPS", 1e15},
                                                 {"TOPS", 1e12},
                                                 {"TFLOP/s", 1e12}};
  CHECK(units().size() == factors.size());
  for (const Unit& u : units()) {
    INFO(u.name);
    REQUIRE(factors.count(std::string(u.name)) == 1);
    CHECK(u.factor == factors.at(std::string(u.name)));
    CHECK(parse_quantity("2.5 " + std::string(u.name), u.dimension).value == 2.5 * u.factor);
    CHECK(parse_quantity("3" + std::string(u.name), u.dimension).value == 3 * u.factor);
  }
}

TEST_CASE("short decimals round once, like the compiler's own literals") {
  for (auto [text, value] :
       std::initializer_list<std::pair<const char*, double>>{{"0.1", 0.1},
                                                             {"3.35", 3.35},
                                                             {"989.4", 989.4},
                                                             {"1e-6", 1e-6},
                                                             {"9.6", 9.6},
                                                             {"123456789012345", 123456789012345.0},
                                                             {"0.30000", 0.3},
                                                             {".5", 0.5},
                                                             {"12345678901234567890123", 12345678901234567890123.0},
                                                             {"0.1234567890123456789012", 0.1234567890123456789012},
                                                             {"5e-324", 5e-324}})
    CHECK(parse_decimal(text, nullptr) == value);
  for (const char* text : {"", ".", "-1", "+1", "inf", "nan", "e3", "1e999", "0x10e999"}) {
    std::string_view rest;
    std::optional<double> value = parse_decimal(text, &rest);
    CHECK((!value || !rest.empty()));
  }
  std::string_view rest;
  CHECK(parse_decimal("3e", &rest) == 3);
  CHECK(rest == "e");
}

TEST_CASE("what is not a quantity says what was expected") {
  CHECK(parse_quantity("80 GiB", bandwidth_dimension).error ==
        "'80 GiB' is a size; expected a bandwidth such as 3.35TB/s");
  CHECK(parse_quantity("30ms", bytes_dimension).error == "'30ms' is a time; expected a size such as 80GiB");
  CHECK(parse_quantity("80", bytes_dimension).error == "'80' has no unit; expected a size such as 80GiB");
  CHECK(parse_quantity("-3GB", bytes_dimension).error == "'-3GB' is not a size such as 80GiB");
  CHECK(parse_quantity("nan GB", bytes_dimension).error == "'nan GB' is not a size such as 80GiB");
  CHECK(parse_quantity("1e999GB", bytes_dimension).error == "'1e999GB' is not a size such as 80GiB");
  CHECK(parse_quantity("1e300 PB", bytes_dimension).error == "'1e300 PB' is too large");
  CHECK(parse_quantity("", bytes_dimension).error == "'' is not a size such as 80GiB");
  CHECK(parse_quantity("3 parsecs", seconds_dimension).error ==
        "unknown unit 'parsecs' in '3 parsecs'; expected one of ns, us, ms, s");
}

TEST_CASE("unknown units are answered with those in use, and shares and counts with an example") {
  CHECK(parse_quantity("3 x", bandwidth_dimension).error ==
        "unknown unit 'x' in '3 x'; expected one of B/s, kB/s, MB/s, GB/s, TB/s, PB/s");
  CHECK(parse_quantity("3 x", rate_dimension).error ==
        "unknown unit 'x' in '3 x'; expected one of GFLOPS, TFLOPS, PFLOPS, TOPS, "
        "TFLOP/s");
  std::string_view rest;
  CHECK(parse_decimal(std::string_view("12e5").substr(0, 2), &rest) == 12);  // what follows the view is not read
  CHECK(rest.empty());
  CHECK(parse_share("0.2").value == 0.2);
  CHECK(parse_share("20%").value == 0.2);
  CHECK(parse_share("1").value == 1);
  CHECK(parse_share("100%").value == 1);
  CHECK(parse_share("1.01").error == "'1.01' is more than 100%");
  CHECK(parse_share("x").error == "'x' is not a share such as 20% or 0.2");
  CHECK(parse_share("20%x").error == "'20%x' is not a share such as 20% or 0.2");
  CHECK(parse_count("2x3", 1, 100).error == "'2x3' is not a whole number such as 4096, 32k or 1M");
  CHECK(parse_count("1e2", 1, 100).value == 100);
  CHECK(parse_count("1e", 1, 100).error == "'1e' is not a whole number such as 4096, 32k or 1M");
}

TEST_CASE("counts: k is 1024") {
  CHECK(parse_count("32k", 1, 1 << 20).value == 32768);
  CHECK(parse_count("1M", 1, 1 << 20).value == 1048576);
  CHECK(parse_count("0.5k", 1, 1 << 20).value == 512);
  CHECK(parse_count("0", 1, 100).error == "'0' is out of range; expected 1 to 100");
  CHECK(parse_count("-5", 1, 100).error == "'-5' is not a whole number such as 4096, 32k or 1M");
  CHECK(parse_count("1.5", 1, 100).error == "'1.5' is not a whole number");
  CHECK(parse_count("99999999999999999999", 1, 100).error ==
        "'99999999999999999999' is out of range; expected 1 to 100");
  CHECK(parse_count("nan", 1, 100).error == "'nan' is not a whole number such as 4096, 32k or 1M");
  CHECK(parse_share("20%").value == 0.2);
  CHECK(parse_share("120%").error == "'120%' is more than 100%");
}

TEST_CASE("numbers print with four significant digits and the largest unit that fits") {
  CHECK(size({16.0 * 1073741824}) == "16 GiB");
  CHECK(size({70272}) == "68.62 KiB");
  CHECK(size({1.05e12}) == "977.9 GiB");  // sizes print in powers of two
  CHECK(size({0}) == "0 B");
  CHECK(size({1023}) == "1,023 B");
  CHECK(bandwidth({3.35e12}) == "3.35 TB/s");
  CHECK(bandwidth({999.99e9}) == "1 TB/s");
  CHECK(flop_rate({5e9}) == "5 GFLOPS");
  CHECK(flop_rate({989.4e12}) == "989.4 TFLOPS");
  CHECK(duration({0.0076246}) == "7.625 ms");
  CHECK(duration({9.6e-6}) == "9.6 us");
  CHECK(parameters(8030261248.0) == "8.03 B");
  CHECK(count(131072) == "131,072");
  CHECK(significant(1664.2) == "1,664");
  CHECK(percent(0.0312) == "3.12 %");
}

TEST_CASE("blanks around a quantity are no part of it") {
  for (const char* text : {"8KiB", " 8KiB", "8KiB ", "8 KiB", "\t8 KiB\t", "  8KiB  ", "8KiB   "}) {
    CAPTURE(text);
    ParsedNumber size = parse_quantity(text, bytes_dimension);
    CHECK(size.error.empty());
    CHECK(size.value == 8192);
  }
}

}  // namespace
}  // namespace kvroof
