// Values that are words in the catalogue, each list in the order of its enum: read, written and described from here.
#pragma once

#include <string_view>

#include "core/engine.h"
#include "core/hardware.h"

namespace kvroof {

template <class Enum>
struct Names;

template <>
struct Names<Confidence> {
  static constexpr std::string_view list[] = {"A", "B", "C", "D"};
};
template <>
struct Names<QkNorm> {
  static constexpr std::string_view list[] = {"none", "head", "all"};
};
/// `observed` is not among them: it comes from a user's own point, never from a file.
template <>
struct Names<Basis> {
  static constexpr std::string_view list[] = {"measured kernels", "own end-to-end rows", "family default",
                                              "vendor figures", "datasheet only"};
};
template <>
struct Names<Layout> {
  static constexpr std::string_view list[] = {"exact", "paged", "token_pool", "paged_up", "cells"};
};
template <>
struct Names<FractionOf> {
  static constexpr std::string_view list[] = {"total", "free_before_load", "free_after_load"};
};

template <class Enum>
concept Named = requires {
  Names<Enum>::list;
};

}  // namespace kvroof
