// Number formats: how many bytes one stored element takes, scales included, and which arithmetic it runs on.
//
// A format is one row of the table in dtype.cc. `bytes` per `elements` is an exact ratio (q8_0 is 34 bytes
// for 32 elements); formats that keep one scale per vector (int8 per token and head) add `vector_scale_bytes`
// for each head_dim-long vector. To add a format, add a row.
#pragma once

#include <span>
#include <string_view>

#include "core/quantity.h"

namespace kvroof {

/// The arithmetic a format is computed in; a device states its peak rate for each one it has.
enum class Arithmetic { fp32, tf32, fp16, bf16, fp8, int8, fp4 };

struct Format {
  std::string_view name;
  i64 elements = 1;            ///< elements in one block
  i64 bytes = 0;               ///< bytes of that block, scales included
  i64 vector_scale_bytes = 0;  ///< extra bytes for each vector of head_dim elements
  Arithmetic arithmetic = Arithmetic::bf16;
  std::string_view source;

  constexpr bool operator==(const Format& other) const { return name == other.name; }
  /// Bytes of `count` elements lying in vectors of `vector` elements. Not rounded to blocks.
  Bytes size(double count, i64 vector) const;
};

/// Another name of a format, as engines, files and people write it.
struct FormatAlias {
  std::string_view alias;
  std::string_view name;
};

std::span<const Format> formats();
std::span<const FormatAlias> format_aliases();
/// The row of that name or alias (`fp16`, `float16`, `f16`); null when there is none.
const Format* find_format(std::string_view name);
/// A row known to exist; used for the defaults written in code.
const Format& format(std::string_view name);

std::string_view name_of(Arithmetic arithmetic);

}  // namespace kvroof
