// Any bytes as a folder's settings: values of options that exist, or told what is wrong at its place.
#include "cli/settings.h"

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "catalog/suggest.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const bool moved = [] {
    std::string folder = (std::filesystem::temp_directory_path() / "kvroof_settings_XXXXXX").string();
    if (!mkdtemp(folder.data())) std::abort();
    std::filesystem::current_path(folder);
    return true;
  }();
  std::ofstream(".kvroof.yaml", std::ios::binary).write(reinterpret_cast<const char*>(data), std::streamsize(size));
  if (!moved) return 0;
  try {
    for (const kvroof::Setting& s : kvroof::settings())
      if (s.key.empty() || s.from.empty()) std::abort();
  } catch (const kvroof::InputError&) {}
  return 0;
}
