// What reading a model's own file yields: its shape, or one line saying why not.
//
// `weight_bytes` is the size of the stored tensors, exact to the byte. It stands beside the model because
// a file mixes formats ("Q4_K_M" is q4_k, q6_k and f32), while Model.weights names one format per role.
#pragma once

#include <optional>
#include <string>

#include "core/model.h"

namespace kvroof {

struct ModelFile {
  std::optional<Model> model;
  std::string error;
  std::optional<i64> weight_bytes;
};

}  // namespace kvroof
