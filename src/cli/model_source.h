// Where a model comes from: the catalogue by name, or a file that describes itself.
#pragma once

#include <string>

#include "catalog/catalog.h"

namespace kvroof {

/// A catalogue name or alias, or the path of a model file. Throws InputError.
Model find_model(const std::string& name, const Catalog& catalog);

}  // namespace kvroof
