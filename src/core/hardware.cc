#include "core/hardware.h"

#include <cmath>

namespace kvroof {
namespace {

/// Formats without arithmetic of their own are widened and computed in the next entry that exists.
constexpr Arithmetic wider[][4] = {
    {Arithmetic::fp32, Arithmetic::tf32, Arithmetic::fp32, Arithmetic::fp32},
    {Arithmetic::tf32, Arithmetic::fp32, Arithmetic::fp32, Arithmetic::fp32},
    {Arithmetic::fp16, Arithmetic::bf16, Arithmetic::fp32, Arithmetic::fp32},
    {Arithmetic::bf16, Arithmetic::fp16, Arithmetic::fp32, Arithmetic::fp32},
    {Arithmetic::fp8, Arithmetic::bf16, Arithmetic::fp16, Arithmetic::fp32},
    {Arithmetic::int8, Arithmetic::bf16, Arithmetic::fp16, Arithmetic::fp32},
    {Arithmetic::fp4, Arithmetic::fp8, Arithmetic::bf16, Arithmetic::fp16},
};

template <class Rate>
const Rate& nearest(const std::array<std::optional<Rate>, 7>& rates, Arithmetic arithmetic, const Rate& fallback) {
  for (Arithmetic a : wider[int(arithmetic)])
    if (rates[int(a)]) return *rates[int(a)];
  return fallback;
}

bool positive(double value) { return std::isfinite(value) && value > 0; }
bool is_share(double value) { return value > 0 && value <= 1; }

/// Shares above 1 would put the expected time below the floor.
void check_achievable(const Achievable& a, std::vector<Problem>& found) {
  if (!is_share(a.compute)) found.push_back({"achievable.compute", "must lie in (0, 1]", ""});
  if (!is_share(a.link)) found.push_back({"achievable.link", "must lie in (0, 1]", ""});
  for (const std::optional<LinearRate>& rate : a.linears)
    if (rate && !is_share(rate->fraction)) found.push_back({"achievable.linears", "fraction must lie in (0, 1]", ""});
  for (const std::optional<AttentionRate>& rate : a.attention)
    if (rate && !is_share(rate->fraction)) found.push_back({"achievable.attention", "fraction must lie in (0, 1]", ""});
}

}  // namespace

const LinearRate& Achievable::linear_rate(Arithmetic arithmetic) const {
  static constexpr LinearRate datasheet{1.0, {}};
  return nearest(linears, arithmetic, datasheet);
}

const AttentionRate& Achievable::attention_rate(Arithmetic arithmetic) const {
  static constexpr AttentionRate datasheet{1.0, {}, {}};
  return nearest(attention, arithmetic, datasheet);
}

std::optional<FlopRate> Device::peak_for(Arithmetic arithmetic) const {
  for (Arithmetic a : wider[int(arithmetic)])
    if (peak[int(a)]) return peak[int(a)];
  for (const std::optional<FlopRate>& rate : peak)
    if (rate) return rate;
  return std::nullopt;
}

std::vector<Problem> problems(const Device& device) {
  std::vector<Problem> found;
  if (device.memory.empty())
    found.push_back({"memory", "a device needs at least one memory tier", "add {kind, capacity, bandwidth}"});
  for (std::size_t i = 0; i < device.memory.size(); ++i) {
    std::string path = "memory[" + std::to_string(i) + "]";
    const MemoryTier& tier = device.memory[i];
    if (!positive(tier.capacity.value)) found.push_back({path + ".capacity", "must be more than 0 bytes", ""});
    if (!positive(tier.bandwidth.value)) found.push_back({path + ".bandwidth", "must be more than 0 B/s", ""});
    if (tier.link && !positive(tier.link->value)) found.push_back({path + ".link", "must be more than 0 B/s", ""});
    if (i > 0 && tier.reachable() > device.memory[i - 1].reachable())
      found.push_back({path, "is faster than the tier before it", "list tiers fastest first"});
  }
  for (std::size_t a = 0; a < device.peak.size(); ++a)
    if (device.peak[a] && !positive(device.peak[a]->value))
      found.push_back(
          {"peak." + std::string(name_of(Arithmetic(a))), "must be more than 0 flop/s", "leave out what is unknown"});
  check_achievable(device.achievable, found);
  if (device.link && (!positive(device.link->per_direction.value) || device.link->domain < 1))
    found.push_back({"link", "needs a bandwidth and a domain of at least 1 device", ""});
  return found;
}

std::string_view name_of(Basis basis) {
  constexpr std::string_view names[] = {"measured kernels", "own end-to-end rows", "family default",
                                        "vendor figures",   "datasheet only",      "your own measurement"};
  return names[int(basis)];
}

}  // namespace kvroof
