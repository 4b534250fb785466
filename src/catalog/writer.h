// Writes a model or a device as the catalogue entry that reads back into it: the same field lists, in the other
// direction.
#pragma once

#include <string>

#include "core/hardware.h"

namespace kvroof {

/// `models:` with one entry, ready to paste into models.yaml. Keys equal to their defaults are left out.
std::string yaml_entry(const Model& model);
/// `devices:` with one entry, its measured shares written out in full.
std::string yaml_entry(const Device& device);

}  // namespace kvroof
