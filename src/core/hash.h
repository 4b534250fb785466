// FNV-1a, 64 bits: a fixed hash for what must fall the same way everywhere. Against accidents only: anybody can forge
// it.
#pragma once

#include <cstdint>
#include <string_view>

namespace kvroof {

constexpr std::uint64_t fnv1a(std::string_view text) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return hash;
}

}  // namespace kvroof
