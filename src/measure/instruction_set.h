// Which version of a function this machine runs: Highway compiles one for each instruction set, and here one is chosen.
//
// Highway's headers alone are used. Its library would choose too, but times the clock whenever a program that is linked
// to it starts, which takes longer than an estimate.
#pragma once

// SSE4 and the refinements of AVX-512 add nothing the kernel uses; vectors of unknown length can't be kept in arrays.
#define HWY_DISABLED_TARGETS (HWY_SSE4 | HWY_AVX3_DL | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)

#include <cstdint>
#include <span>

namespace kvroof {

/// Highway's name of the one that functions run on.
std::int64_t chosen_target();
/// Whether AMX's tiles are used beside it.
bool amx_is_chosen();

template <class Function>
struct Version {
  std::int64_t target;
  Function* function;
};

template <class Function, std::size_t N>
Function* chosen(const Version<Function> (&versions)[N]) {
  for (const Version<Function>& v : versions)
    if (v.target == chosen_target() && v.function) return v.function;
  return versions[N - 1].function;
}

/// The versions of a function, the plainest last: it is there whatever the machine.
#define KVROOF_VERSIONS(function)                                                   \
  {                                                                                 \
    {HWY_AVX3, HWY_CHOOSE_AVX3(function)}, {HWY_AVX2, HWY_CHOOSE_AVX2(function)}, { \
      HWY_STATIC_TARGET, &HWY_STATIC_DISPATCH(function)                             \
    }                                                                               \
  }

}  // namespace kvroof
