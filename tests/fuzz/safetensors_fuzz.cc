// Any bytes as a safetensors file: an answer in every case, and accepted tensors lie inside the file.
#include <cstdint>
#include <cstdlib>
#include <span>

#include "catalog/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // The last byte stretches the claimed file, so that headers with data behind them are reached too.
  std::int64_t file_size = std::int64_t(size) + (size > 0 ? data[size - 1] : 0);
  kvroof::ParsedSafetensors parsed = kvroof::parse_safetensors(std::as_bytes(std::span(data, size)), file_size);
  if (parsed.header.has_value() == !parsed.error.empty()) std::abort();
  if (parsed.error.find('\n') != parsed.error.npos) std::abort();
  if (!parsed.header) return 0;
  for (const auto& t : parsed.header->tensors)
    if (t.begin < 0 || t.end < t.begin || t.end > file_size) std::abort();
  return 0;
}
