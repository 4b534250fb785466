// Looking things up in a GGUF header: metadata by key, with its type and range checked; a layer's tensors by name.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "catalog/gguf_layer.h"

namespace kvroof {

const GgufValue* GgufKeys::find(std::string_view key) const {
  auto found = header_.metadata.find(full(key));
  return found == header_.metadata.end() ? nullptr : &found->second;
}

std::optional<i64> GgufKeys::integer(std::string_view key, i64 most) const {
  const GgufValue* value = find(key);
  if (!value) return std::nullopt;
  const i64* number = std::get_if<i64>(value);
  if (!number) throw GgufRefused{full(key) + " is not an integer"};
  if (*number < 0 || *number > most)
    throw GgufRefused{fmt::format("{} is {}, expected 0 to {}", full(key), *number, most)};
  return *number;
}

i64 GgufKeys::required(std::string_view key, i64 most) const {
  std::optional<i64> value = integer(key, most);
  if (!value) throw GgufRefused{full(key) + " is missing"};
  return *value;
}

std::vector<i64> GgufKeys::per_layer(std::string_view key, i64 layers) const {
  const GgufValue* value = find(key);
  if (!value) return {};
  const GgufArray* list = std::get_if<GgufArray>(value);
  if (!list) return std::vector<i64>(std::size_t(layers), required(key));
  if (i64(list->numbers.size()) < layers)
    throw GgufRefused{fmt::format("{} has {} numbers for {} layers", full(key), list->numbers.size(), layers)};
  std::vector<i64> out;
  for (i64 i = 0; i < layers; ++i) {
    double n = list->numbers[std::size_t(i)];
    if (!(n >= 0 && n <= double(1 << 20)) || n != std::floor(n))
      throw GgufRefused{fmt::format("{}[{}] is {}, expected an integer from 0 to {}", full(key), i, n, 1 << 20)};
    out.push_back(i64(n));
  }
  return out;
}

bool GgufLayer::has_prefix(std::string_view prefix) const {
  auto at = left.lower_bound(prefix);
  return at != left.end() && at->first.starts_with(prefix);
}

const GgufTensor* GgufLayer::take(std::string_view suffix) {
  auto found = left.find(suffix);
  if (found == left.end()) return nullptr;
  const GgufTensor* tensor = found->second;
  left.erase(found);
  return tensor;
}

i64 GgufLayer::take_elements(std::string_view suffix) {
  const GgufTensor* tensor = take(suffix);
  return tensor ? tensor->elements : 0;
}

i64 GgufLayer::elements_left() const {
  i64 sum = 0;
  for (const auto& [suffix, tensor] : left) sum += tensor->elements;
  return sum;
}

void GgufNotes::add(std::string line) {
  constexpr std::size_t most_notes = 24;
  if (lines.size() < most_notes && std::find(lines.begin(), lines.end(), line) == lines.end())
    lines.push_back(std::move(line));
}

}  // namespace kvroof
