// Short descriptions of specs that several commands print.
#pragma once

#include <string>

#include "catalog/catalog.h"
#include "render/document.h"

namespace kvroof {

/// `GQA-8`, `MHA`, `MQA`, `MLA`, `recurrent` … of one layer group.
std::string sharing_of(const LayerGroup& group);
/// The kinds of a model in order, without repeats: `GQA-8 sliding 4,096 + GQA-8`.
std::string kinds_of(const Model& model);
/// `32 x full, 32:8 heads of 128`.
std::string shape_of(const LayerGroup& group);
/// bf16, or `bf16 K, q4_0 V`.
std::string cache_format_of(const CacheFormats& formats);
std::string weight_format_of(const Model& model, const Deployment& deployment);

}  // namespace kvroof
