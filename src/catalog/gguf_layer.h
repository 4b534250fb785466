// One layer of a GGUF file: its tensors, and what they and the metadata say of attention and feed-forward.
//
// A reader takes the tensors its fields stand for out of the layer. What is left at the end is in no field:
// it is counted as other_weights, so that a model's parameters add up to the file's whatever the family.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "catalog/gguf_parser.h"

namespace kvroof {

/// The metadata of one architecture: keys without its prefix ("attention.head_count").
class GgufKeys {
 public:
  GgufKeys(const GgufHeader& header, std::string arch) : header_(header), arch_(std::move(arch)) {}

  const std::string& arch() const { return arch_; }
  std::string full(std::string_view key) const { return arch_ + "." + std::string(key); }
  const GgufValue* find(std::string_view key) const;
  /// Refuses what is not an integer from 0 to `most`; the default keeps products of three below 2^63.
  std::optional<i64> integer(std::string_view key, i64 most = 1 << 20) const;
  i64 required(std::string_view key, i64 most = 1 << 20) const;
  /// A scalar stands for all layers; an array must have one element per layer. Empty when absent.
  std::vector<i64> per_layer(std::string_view key, i64 layers) const;

 private:
  const GgufHeader& header_;
  std::string arch_;
};

/// Tensors of blk.N by what follows that prefix, until a field has taken them.
struct GgufLayer {
  i64 index = 0;
  std::map<std::string_view, const GgufTensor*> left;

  bool has(std::string_view suffix) const { return left.contains(suffix); }
  bool has_prefix(std::string_view prefix) const;
  const GgufTensor* take(std::string_view suffix);
  /// Takes it and gives its elements; 0 when there is none.
  i64 take_elements(std::string_view suffix);
  i64 elements_left() const;
};

/// A list of distinct remarks.
struct GgufNotes {
  std::vector<std::string> lines;
  void add(std::string line);
};

/// What a layer's attention needs to know, read from the metadata once.
struct GgufShape {
  i64 layers = 0;
  i64 hidden = 0;
  std::vector<i64> query_heads, kv_heads;  ///< per layer
  std::vector<bool> sliding;               ///< per layer
  i64 window = 0;
  bool chunked = false;      ///< the window is a chunk (Llama 4)
  i64 shared_kv_layers = 0;  ///< that many at the end own no cache
};

GgufShape gguf_shape(const GgufKeys& keys, i64 layers, GgufNotes& notes);

/// The layer as groups of one: two where attention and a state run side by side (Falcon-H1).
std::vector<LayerGroup> gguf_layer_groups(const GgufKeys& keys, const GgufShape& shape, GgufLayer& layer,
                                          bool norm_bias, GgufNotes& notes);

}  // namespace kvroof
