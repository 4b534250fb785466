// The shape of a model as the columns of a log table give it: widths in a handful of spellings.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/model.h"

namespace kvroof {

/// One kind of layer as a row's own columns describe it.
struct LoggedWidth {
  i64 kv_heads = 0, key_dim = 0, value_dim = 0;
  i64 lora_rank = 0, rope_dim = 0, index_dim = 0;  ///< of a latent
};

/// A model's shape as far as a row states it; every other layer kind than full attention by its share only.
struct LoggedShape {
  i64 layers = 0, query_heads = 0;
  LoggedWidth full;
  std::optional<LoggedWidth> sliding;
  std::string others;  ///< kind of the layers that are not full attention:
                       ///< `SWA`, `GDN`, `chunked`
  i64 full_every = 1;  ///< one layer in so many is full
  bool known() const { return layers > 0 && ((full.kv_heads > 0 && full.key_dim > 0) || full.lora_rank > 0); }
};

/// `32`, `32`, `8`, `128` and a kind such as `SWA5:1`; widths also as `8 swa/2 full`, `192/128`, `512+64, idx 128`.
LoggedShape logged_shape(std::string_view layers, std::string_view query_heads, std::string_view kv_heads,
                         std::string_view head_dim, std::string_view kind);

/// The shape as a model of its own, for rows about parts of a model or models the catalogue lacks.
Model model_of(const LoggedShape& shape);
/// Whether the catalogue's model is the one the row describes, as far as it does.
bool agrees(const LoggedShape& shape, const Model& model);
/// Layers that keep keys and values, of every kind.
i64 caching_layers(const Model& model);

}  // namespace kvroof
