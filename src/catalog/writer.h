// Writes a model as the catalogue entry that reads back into it: the same field lists, in the other direction.
#pragma once

#include <string>

#include "core/model.h"

namespace kvroof {

/// `models:` with one entry, ready to paste into models.yaml. Keys equal to their defaults are left out.
std::string yaml_entry(const Model& model);

}  // namespace kvroof
