// Where a model comes from: the catalogue by name, or a file that describes itself.
#pragma once

#include <string>

#include "catalog/catalog.h"

namespace kvroof {

/// Throws all problems of a model that came from `where`.
void throw_problems(const Model& model, const std::string& where);

/// A catalogue name or alias, the path of a model file or folder (config.json, .gguf, .safetensors), or a
/// repository in the local Hugging Face cache. Files win over names. Throws InputError.
Model find_model(const std::string& name, const Catalog& catalog);

}  // namespace kvroof
