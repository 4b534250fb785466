// Any bytes as a user's catalogue file: it is read whole, every entry of it, or told what is wrong with it.
#include <cstdint>

#include "catalog/catalog.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    kvroof::Catalog catalog;
    catalog.add_text("fuzz.yaml", std::string(reinterpret_cast<const char*>(data), size));
    catalog.lint();
  } catch (const kvroof::InputError&) {}
  return 0;
}
