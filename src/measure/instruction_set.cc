#include "measure/instruction_set.h"

#include <hwy/highway.h>

#include <atomic>

#include "measure/kernel.h"

namespace kvroof {
namespace {

bool runs(std::int64_t target) {
#if HWY_ARCH_X86
  __builtin_cpu_init();
  if (target == HWY_AVX3)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512cd") && runs(HWY_AVX2);
  if (target == HWY_AVX2)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2");
#endif
  return target == HWY_STATIC_TARGET;
}

/// The best first: Highway numbers them so.
std::vector<std::int64_t> targets() {
  std::vector<std::int64_t> found;
  for (std::int64_t left = HWY_TARGETS; left != 0; left &= left - 1)
    if (std::int64_t target = left & -left; runs(target)) found.push_back(target);
  return found;
}

std::atomic<std::int64_t>& choice() {
  static std::atomic<std::int64_t> target = targets().front();
  return target;
}

}  // namespace

std::int64_t chosen_target() { return choice(); }

std::string instruction_set() { return hwy::TargetName(chosen_target()); }

std::vector<std::string> instruction_sets() {
  std::vector<std::string> names;
  for (std::int64_t target : targets()) names.emplace_back(hwy::TargetName(target));
  return names;
}

void use_instruction_set(const std::string& name) {
  for (std::int64_t target : targets())
    if (name == hwy::TargetName(target)) choice() = target;
}

}  // namespace kvroof
