// Any bytes as a table of measurements: rows as wide as their header, or the line that is not.
#include <cstdint>
#include <cstdlib>

#include "catalog/catalog.h"
#include "catalog/measured.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    kvroof::MeasuredTable table =
        kvroof::MeasuredTable::parse("fuzz.csv", std::string_view(reinterpret_cast<const char*>(data), size));
    for (std::size_t row = 0; row < table.size(); ++row)
      for (const std::string& column : table.columns()) {
        std::string_view field = table.at(row, column);
        if (kvroof::decimals_in(field) < 0) std::abort();
        kvroof::number_in(field);
      }
  } catch (const kvroof::InputError&) {}
  return 0;
}
