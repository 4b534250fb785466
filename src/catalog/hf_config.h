// Models from a Hugging Face config.json.
//
// One file describes a model in the words of the class that runs it: the same number has a dozen names, whole
// blocks are left to the class's defaults, and the pattern of layers is often only in code. The importer is
// tables of those names, defaults and patterns; whatever it fills in is a note on the model, and whatever it
// does not understand is one line naming the key. No input makes it throw, or take more than 64 MiB.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/model.h"

namespace kvroof {

/// Exactly one of the two is meaningful.
struct ImportedModel {
  std::optional<Model> model;
  std::string error;
};

/// `name` (a repository or folder name) becomes the id and the name. Of a multimodal model, the text model.
ImportedModel import_hf_config(std::string_view json_text, std::string_view name);

}  // namespace kvroof
