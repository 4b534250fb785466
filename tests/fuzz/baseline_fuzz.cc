// Any bytes as a baseline: read and written again as it was, or told what is wrong with it.
#include "cli/baseline.h"

#include "memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  kvroof::MemoryFile file(data, size);
  try {
    std::string text = kvroof::baseline_text(kvroof::read_baseline(file.path()));
    kvroof::MemoryFile again(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
    if (kvroof::baseline_text(kvroof::read_baseline(again.path())) != text) std::abort();
  } catch (const kvroof::InputError&) {}
  return 0;
}
