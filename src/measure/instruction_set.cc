#include "measure/instruction_set.h"

#include <hwy/highway.h>

#if HWY_ARCH_X86_64 && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <string>
#include <vector>

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

/// AMX for bf16 beside AVX-512. The system must be asked once, for all threads.
bool runs_amx() {
#if HWY_ARCH_X86_64 && defined(__linux__)
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned tiles = 1U << 24, bf16 = 1U << 22;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & tiles) == 0 || (d & bf16) == 0) return false;
  constexpr long ask_permission = 0x1023, tile_data = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return runs(HWY_AVX3) && syscall(SYS_arch_prctl, ask_permission, tile_data) == 0;
#else
  return false;
#endif
}

struct InstructionSet {
  std::int64_t target = HWY_STATIC_TARGET;
  bool amx = false;
  std::string name() const { return amx ? "AMX" : hwy::TargetName(target); }
};

/// The best first: Highway numbers them so.
std::vector<InstructionSet> sets() {
  std::vector<InstructionSet> found;
  if (runs_amx()) found.push_back({HWY_AVX3, true});
  for (std::int64_t left = HWY_TARGETS; left != 0; left &= left - 1)
    if (std::int64_t target = left & -left; runs(target)) found.push_back({target, false});
  return found;
}

InstructionSet& choice() {
  static InstructionSet set = sets().front();
  return set;
}

}  // namespace

std::int64_t chosen_target() { return choice().target; }
bool amx_is_chosen() { return choice().amx; }

std::string instruction_set() { return choice().name(); }

std::vector<std::string> instruction_sets() {
  std::vector<std::string> names;
  for (const InstructionSet& set : sets()) names.push_back(set.name());
  return names;
}

void use_instruction_set(const std::string& name) {
  for (const InstructionSet& set : sets())
    if (name == set.name()) choice() = set;
}

}  // namespace kvroof
