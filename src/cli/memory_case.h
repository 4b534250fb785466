// The setup of one logged figure: the engine of that version, the model, the deployment, the device.
//
// A log leaves much unsaid; what it does not say takes the engine's default for that device and version.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "catalog/catalog.h"
#include "catalog/memory_log.h"
#include "core/memory.h"

namespace kvroof {

inline constexpr double GiB = 1073741824.0;  // bytes

/// Why a row can't be predicted.
struct Skip {
  std::string why;
};

/// All a prediction rests on. The row outlives it.
struct MemoryCase {
  const LoggedMemory& row;
  Engine engine;
  Model model;
  Deployment d;
  std::optional<Device> device;
  std::string basis;  ///< where the model's shape is from
};

/// Throws Skip.
MemoryCase memory_case(const LoggedMemory& row, const Catalog& catalog);

/// Names to look a model up by: as written, without its owner, and shortened from the right word by word.
std::vector<std::string> names_of(const std::string& written);
/// The catalogue's model of the row, when its shape agrees with what the row states.
std::optional<Model> catalogue_model(const LoggedMemory& row, const Catalog& catalog);

}  // namespace kvroof
