#include "cli/measured_row.h"

#include <cmath>

namespace kvroof {

i64 Row::whole(std::string_view column, i64 fallback) const {
  std::optional<double> value = number(column);
  return value && *value >= 1 && *value < 1e15 ? i64(std::llround(*value)) : fallback;
}

Prediction start(const Row& row, const char* metric, const char* measured, std::string source, std::string kind) {
  Prediction p;
  p.id = row.text("id");
  p.metric = metric;
  p.source = std::move(source);
  p.kind = std::move(kind);
  p.measured = row.number(measured);
  return p;
}

const Device* Names::device(const std::string& name) {
  auto [at, fresh] = devices_.try_emplace(name);
  if (fresh && catalog_.has("devices", name)) at->second = catalog_.device(name);
  return at->second ? &*at->second : nullptr;
}

const Model* Names::model(const std::string& name) {
  auto [at, fresh] = models_.try_emplace(name);
  if (fresh && catalog_.has("models", name)) at->second = catalog_.model(name);
  return at->second ? &*at->second : nullptr;
}

const Format* format_in_table(const std::string& text) {
  constexpr struct {
    std::string_view written, format;
  } names[] = {{"bfloat16", "bf16"}, {"16-bit", "bf16"},  {"bf16?", "bf16"},   {"fp4", "nvfp4"},
               {"q4_k_m", "q4_k"},   {"q4", "q4_0"},      {"int8", "w8a8"},    {"int4-g32", "int4_g32"},
               {"w4a16 awq", "awq"}, {"8-bit", "w8a8"},   {"int8_wo", "w8a8"}, {"int4_wo", "awq"},
               {"mxfp4", "mxfp4"},   {"bf16/fp8", "bf16"}};
  std::string name = lower(text);
  for (const auto& row : names)
    if (row.written == name) name = row.format;
  return find_format(name);
}

}  // namespace kvroof
