// safetensors headers: names, types, shapes and places of tensors, and from them the bytes of a checkpoint.
//
// A file is a u64 length, that many bytes of JSON, then the tensors, which are never read. The JSON is walked
// token by token, so nesting, duplicates and wrong types are refused before anything is built from them.
// Packed 4-bit weights are stored as U8 or I32: element counts understate parameters, bytes are always right.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/quantity.h"

namespace kvroof {

struct SafetensorsHeader {
  struct Tensor {
    std::string name, dtype;
    std::vector<i64> shape;
    i64 begin = 0, end = 0;  ///< counted from the end of the header
  };
  std::vector<Tensor> tensors;  ///< in the order they lie in the file
};

struct ParsedSafetensors {
  std::optional<SafetensorsHeader> header;
  std::string error;
};

/// `bytes` may stop anywhere after the header; `file_size` is that of the whole file.
ParsedSafetensors parse_safetensors(std::span<const std::byte> bytes, i64 file_size);
ParsedSafetensors read_safetensors(const std::filesystem::path& file);

/// `error` beside `bytes` is a remark: shards that disagree with the index, or that are not there.
struct WeightBytes {
  std::optional<i64> bytes;
  std::string error;
};

/// Bytes of the tensors of one .safetensors file, or of the shards a model.safetensors.index.json names. A file named
/// X-00001-of-00003.safetensors stands for all three: it is refused when one is missing and no index says their size.
WeightBytes safetensors_weight_bytes(const std::filesystem::path& file_or_index);

}  // namespace kvroof
