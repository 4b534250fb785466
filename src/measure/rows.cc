#include "measure/rows.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace kvroof {
namespace {

constexpr i64 q8_block = 32, q8_bytes = 34;

template <class T>
T load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}
template <class T>
void store(std::byte* to, T value) {
  std::memcpy(to, &value, sizeof value);
}

float largest(const float* values, i64 count) {
  float most = 0;
  for (i64 i = 0; i < count; ++i) most = std::max(most, std::abs(values[i]));
  return most;
}
std::int8_t quantised(float value, float scale) {
  return scale > 0 ? std::int8_t(std::clamp(std::nearbyint(value / scale), -127.0F, 127.0F)) : std::int8_t(0);
}

void encode_f32(const float* values, i64 dim, std::byte* row) { std::memcpy(row, values, std::size_t(dim) * 4); }
double decode_f32(const std::byte* row, i64, i64 i) { return load<float>(row + 4 * i); }

void encode_bf16(const float* values, i64 dim, std::byte* row) {
  for (i64 i = 0; i < dim; ++i) store(row + 2 * i, to_bfloat(values[i]));
}
double decode_bf16(const std::byte* row, i64, i64 i) { return from_bfloat(load<std::uint16_t>(row + 2 * i)); }

void encode_fp16(const float* values, i64 dim, std::byte* row) {
  for (i64 i = 0; i < dim; ++i) store(row + 2 * i, to_half(values[i]));
}
double decode_fp16(const std::byte* row, i64, i64 i) { return from_half(load<std::uint16_t>(row + 2 * i)); }

void encode_int8(const float* values, i64 dim, std::byte* row) {
  float scale = largest(values, dim) / 127;
  for (i64 i = 0; i < dim; ++i) store(row + i, quantised(values[i], scale));
  store(row + dim, scale);
}
double decode_int8(const std::byte* row, i64 dim, i64 i) {
  return double(load<std::int8_t>(row + i)) * double(load<float>(row + dim));
}

void encode_q8(const float* values, i64 dim, std::byte* row) {
  for (i64 first = 0; first < dim; first += q8_block, row += q8_bytes) {
    std::uint16_t bits = to_half(largest(values + first, q8_block) / 127);
    store(row, bits);
    for (i64 i = 0; i < q8_block; ++i) store(row + 2 + i, quantised(values[first + i], from_half(bits)));
  }
}
double decode_q8(const std::byte* row, i64, i64 i) {
  const std::byte* block = row + i / q8_block * q8_bytes;
  return double(load<std::int8_t>(block + 2 + i % q8_block)) * double(from_half(load<std::uint16_t>(block)));
}

struct RowFormat {
  std::string_view name;
  void (*encode)(const float*, i64, std::byte*);
  double (*decode)(const std::byte*, i64, i64);
};
constexpr RowFormat table[] = {{"f32", encode_f32, decode_f32},
                               {"bf16", encode_bf16, decode_bf16},
                               {"fp16", encode_fp16, decode_fp16},
                               {"int8", encode_int8, decode_int8},
                               {"q8_0", encode_q8, decode_q8}};

const RowFormat& row_format(const Format& format) {
  for (const RowFormat& r : table)
    if (r.name == format.name) return r;
  return table[0];  // has_rows() tells beforehand
}

}  // namespace

std::span<const std::string_view> row_formats() {
  static constexpr std::string_view names[] = {"f32", "bf16", "fp16", "int8", "q8_0"};
  return names;
}

bool has_rows(const Format& format) {
  return std::any_of(std::begin(table), std::end(table), [&](const RowFormat& r) { return r.name == format.name; });
}

i64 row_bytes(const Format& format, i64 dim) { return i64(format.size(double(dim), dim).value); }

void encode_row(const Format& format, const float* values, i64 dim, std::byte* row) {
  row_format(format).encode(values, dim, row);
}

double decode(const Format& format, const std::byte* row, i64 dim, i64 index) {
  return row_format(format).decode(row, dim, index);
}

std::uint16_t to_bfloat(float value) {
  std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  if (std::isnan(value)) return std::uint16_t(bits >> 16 | 0x40);
  return std::uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
float from_bfloat(std::uint16_t bits) { return std::bit_cast<float>(std::uint32_t(bits) << 16); }

std::uint16_t to_half(float value) {
  std::uint16_t sign = std::uint16_t(std::bit_cast<std::uint32_t>(value) >> 16 & 0x8000);
  float magnitude = std::abs(value);
  if (std::isnan(value)) return sign | 0x7e00;
  if (magnitude >= 65520) return sign | 0x7c00;  // rounds to infinity
  int exponent = std::max(magnitude > 0 ? std::ilogb(magnitude) : -14, -14);
  // In units of the last of 10 fraction bits; a carry moves into the exponent by itself.
  std::uint32_t units = std::uint32_t(std::nearbyint(std::ldexp(magnitude, 10 - exponent)));
  return std::uint16_t(sign | (units + (std::uint32_t(exponent + 14) << 10)));
}

float from_half(std::uint16_t bits) {
  std::uint32_t exponent = bits >> 10 & 31, fraction = bits & 1023;
  float sign = bits & 0x8000 ? -1.0F : 1.0F;
  if (exponent == 31) return fraction ? NAN : sign * INFINITY;
  if (exponent == 0) return sign * std::ldexp(float(fraction), -24);
  return sign * std::ldexp(float(fraction + 1024), int(exponent) - 25);
}

}  // namespace kvroof
