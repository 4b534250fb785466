// The two loops everything is held against: reading memory, and multiplying without reading any.
#pragma once

#include <cstddef>

#include "core/quantity.h"

namespace kvroof {

/// Reads `bytes` from `from` once, as four streams with their lines asked for ahead. A checksum, so that it happens.
float read_bytes(const std::byte* from, i64 bytes);

/// Independent chains of fused multiply-adds in f32, `rounds` of each; returns the flops done in `flops`.
float multiply_add(i64 rounds, Flops& flops);
/// Products of AMX's tiles of bf16 that stay in their registers, four sums in turn.
float multiply_tiles(i64 rounds, Flops& flops);

}  // namespace kvroof
