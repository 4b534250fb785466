// Any bytes as a config.json: a model without problems of overflow, or one line that names the key; never both.
#include <cstdint>
#include <cstdlib>

#include "catalog/hf_config.h"
#include "core/cache.h"
#include "core/parameters.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  kvroof::ImportedModel imported = kvroof::import_hf_config(text, "fuzz");
  if (imported.model.has_value() == !imported.error.empty()) std::abort();
  if (imported.error.find('\n') != imported.error.npos) std::abort();
  if (!imported.model) return 0;
  if (!kvroof::problems(*imported.model).empty()) std::abort();
  if (kvroof::count_parameters(*imported.model).total < 0) std::abort();
  if (kvroof::sequence_cache(*imported.model, 4096, {}).value < 0) std::abort();
  return 0;
}
