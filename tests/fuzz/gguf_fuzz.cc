// Any bytes as a GGUF header: the parser must answer, never read past the end, and what it accepts must map
// to a model or an error without overflow. Run under the address and undefined-behaviour sanitizers.
#include <cstdint>
#include <cstdlib>
#include <span>

#include "catalog/gguf.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  kvroof::ParsedGguf parsed = kvroof::parse_gguf(std::as_bytes(std::span(data, size)));
  if (parsed.header.has_value() == !parsed.error.empty()) std::abort();
  if (parsed.error.find('\n') != parsed.error.npos) std::abort();
  if (!parsed.header) return 0;
  kvroof::ModelFile file = kvroof::gguf_model(*parsed.header, "fuzz");
  if (file.model.has_value() == !file.error.empty()) std::abort();
  if (file.error.find('\n') != file.error.npos) std::abort();
  return 0;
}
