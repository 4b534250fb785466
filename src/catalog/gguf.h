// GGUF headers: metadata and the list of tensors, read without touching the tensors themselves.
//
// A file is tens of GB and its header a few MB, so reading goes through a small window. Nothing in a file is
// believed before it is checked: counts and lengths against the bytes that are left, sizes against overflow,
// and all that is kept against a budget, so that no file makes the reader take more than 64 MiB.
// An error is one line naming the byte. Long strings, string arrays and long arrays keep only what sizes a model.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "catalog/model_file.h"

namespace kvroof {

/// A row of ggml's table of tensor types: `bytes` hold `block` elements.
struct GgufType {
  int id = 0;
  std::string_view name;
  i64 block = 1;
  i64 bytes = 0;
};

std::span<const GgufType> gguf_types();
/// Null for ids that are retired, or unknown.
const GgufType* find_gguf_type(i64 id);

struct GgufTensor {
  std::string name;
  std::vector<i64> dims;  ///< dims[0] is contiguous: the length of a row
  int type = 0;
  double bytes = 0;
  i64 elements = 0;
};

/// `numbers` is empty for strings, and for arrays longer than any list of layers.
struct GgufArray {
  i64 length = 0;
  std::vector<double> numbers;
};

/// All integers are i64; a u64 beyond that becomes a double. Strings are cut at 4096 bytes.
using GgufValue = std::variant<i64, double, bool, std::string, GgufArray>;

struct GgufHeader {
  int version = 0;
  i64 tensor_count = 0;
  std::vector<GgufTensor> tensors;
  std::map<std::string, GgufValue, std::less<>> metadata;
  i64 split_count = 1;
  i64 split_no = 0;                ///< from 0
  std::vector<std::string> notes;  ///< oddities that do not keep the model from being sized
};

struct ParsedGguf {
  std::optional<GgufHeader> header;
  std::string error;
};

/// One file's header, from memory.
ParsedGguf parse_gguf(std::span<const std::byte> bytes);
/// The header of a file; any part of a split model (name-00001-of-00003.gguf) yields the whole model.
ParsedGguf read_gguf(const std::filesystem::path& file);

/// The model a header describes: attention and widths from the metadata, biases, norms and kinds of layer
/// from which tensors there are. `name` becomes the id and names the file in messages.
ModelFile gguf_model(const GgufHeader& header, std::string_view name);

}  // namespace kvroof
