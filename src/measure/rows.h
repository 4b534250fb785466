// Number formats as bytes in memory: one row holds one head's vector of one token, its scales beside it.
//
// A row takes exactly Format::size bytes: int8 ends with its f32 scale, q8_0 is blocks of an f16 scale and 32
// integers. Encoding rounds to nearest; decoding gives the number a kernel must work with, in double.
// To add a format: a row of the table in rows.cc and a decoder in kernel.cc.
#pragma once

#include <cstddef>
#include <span>

#include "core/dtype.h"

namespace kvroof {

/// The stored formats the kernel reads: f32, bf16, fp16, int8, q8_0.
std::span<const std::string_view> row_formats();
bool has_rows(const Format& format);

/// Bytes of a row of `dim` elements.
i64 row_bytes(const Format& format, i64 dim);
void encode_row(const Format& format, const float* values, i64 dim, std::byte* row);
/// Element `index` of a row of `dim` elements.
double decode(const Format& format, const std::byte* row, i64 dim, i64 index);

/// IEEE binary16 and bfloat16, both ways. Rounds to nearest even.
std::uint16_t to_half(float value);
float from_half(std::uint16_t bits);
std::uint16_t to_bfloat(float value);
float from_bfloat(std::uint16_t bits);

}  // namespace kvroof
