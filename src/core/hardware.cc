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
    {Arithmetic::fp4, Arithmetic::bf16, Arithmetic::fp16, Arithmetic::fp32},  // by weight-only kernels
};

template <class Rate>
const Rate& nearest(const std::array<std::optional<Rate>, 7>& rates, Arithmetic arithmetic, const Rate& fallback) {
  for (Arithmetic a : wider[int(arithmetic)])
    if (rates[int(a)]) return *rates[int(a)];
  return fallback;
}

bool positive(double value) { return std::isfinite(value) && value > 0; }
/// Below a millionth it is a typing error, and dividing by it leaves the range of numbers.
bool is_share(double value) { return value >= 1e-6 && value <= 1; }
/// Rates beyond these are typing errors too; between them every quotient is a number.
bool is_rate(double value) { return value >= 1 && value <= 1e21; }
constexpr double most_bytes = 9007199254740992;  // 2^53: bytes are exact up to it

void check_rate(std::vector<Problem>& found, const std::string& path, double value, const std::string& unit) {
  if (!positive(value))
    found.push_back({path, "must be more than 0 " + unit, ""});
  else if (!is_rate(value))
    found.push_back({path, "must lie between 1 and 1e21 " + unit, ""});
}

/// Shares above 1 would put the expected time below the floor.
void check_achievable(const Achievable& a, std::vector<Problem>& found) {
  if (!is_share(a.compute)) found.push_back({"achievable.compute", "must lie in (0, 1]", ""});
  if (!is_share(a.link)) found.push_back({"achievable.link", "must lie in (0, 1]", ""});
  if (!(a.overlap.hidden >= 0 && a.overlap.hidden <= 1))
    found.push_back({"achievable.overlap", "must lie in [0, 1]", "sum is 0, max is 1"});
  for (const CoreCost& cost : a.core) {
    if (!positive(cost.rate.value)) found.push_back({"achievable.core", "rate must be more than 0 flop/s", ""});
    if (cost.block < 1 || cost.block > 1024 || cost.from_group < 1)
      found.push_back({"achievable.core", "block must lie in [1, 1024], from_group above 0", ""});
    if (cost.fraction && !is_share(*cost.fraction))
      found.push_back({"achievable.core", "fraction must lie in (0, 1]", ""});
    if (cost.overlap && !(cost.overlap->hidden >= 0 && cost.overlap->hidden <= 1))
      found.push_back({"achievable.core", "overlap must lie in [0, 1]", "sum is 0, max is 1"});
  }
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

const CoreCost* Achievable::core_cost(const Format& format, double group) const {
  const CoreCost* found = nullptr;
  for (const CoreCost& cost : core)
    if (cost.format == format && double(cost.from_group) <= group && (!found || cost.from_group > found->from_group))
      found = &cost;
  return found;
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
    if (tier.capacity.value > most_bytes)
      found.push_back({path + ".capacity", "is more than 8 PiB", "bytes stay exact only below 2^53"});
    check_rate(found, path + ".bandwidth", tier.bandwidth.value, "B/s");
    if (tier.link) check_rate(found, path + ".link", tier.link->value, "B/s");
    if (i > 0 && tier.reachable() > device.memory[i - 1].reachable())
      found.push_back({path, "is faster than the tier before it", "list tiers fastest first"});
  }
  for (std::size_t a = 0; a < device.peak.size(); ++a)
    if (device.peak[a])
      check_rate(found, "peak." + std::string(name_of(Arithmetic(a))), device.peak[a]->value, "flop/s");
  check_achievable(device.achievable, found);
  if (device.cores && *device.cores < 1) found.push_back({"cores", "must be at least 1", "leave it out if unknown"});
  if (device.watts && !positive(*device.watts))
    found.push_back({"power", "must be more than 0 W", "leave it out if unknown"});
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
