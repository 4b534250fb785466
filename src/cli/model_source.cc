#include "cli/model_source.h"

namespace kvroof {

Model find_model(const std::string& name, const Catalog& catalog) { return catalog.model(name); }

}  // namespace kvroof
