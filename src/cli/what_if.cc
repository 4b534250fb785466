#include "cli/what_if.h"

#include <fmt/format.h>

#include <algorithm>

namespace kvroof {
namespace {

struct WhatIf {
  std::string flags;
  Setup setup;
};

/// Formats to try, those that keep most quality first.
std::vector<WhatIf> what_ifs(const Setup& s) {
  std::vector<WhatIf> found;
  auto add = [&](std::string flags, auto change) {
    Setup other = s;
    change(other);
    if (other.possible()) found.push_back({std::move(flags), std::move(other)});
  };
  auto weights = [](const char* name) { return [name](Setup& o) { o.d.weights = format(name); }; };
  auto cache = [](Setup& o) { o.d.cache.key = o.d.cache.value = format("fp8"); };
  add("--kv-dtype fp8", cache);
  add("--weights fp8", weights("fp8"));
  add("--weights fp8 --kv-dtype fp8", [&](Setup& o) { o.d.weights = format("fp8"), cache(o); });
  add("--weights awq", weights("awq"));
  add("--weights awq --kv-dtype fp8", [&](Setup& o) { o.d.weights = format("awq"), cache(o); });
  return found;
}

/// The longest context at which the batch still fits, in steps of 1,024 tokens; 0 when none does.
i64 longest_context(Setup s) {
  if (s.w.shared_prefix > 0) return 0;  // a shorter context would cut the prefix
  i64 low = 0, high = s.w.context / 1024;
  while (low < high) {
    i64 middle = (low + high + 1) / 2;
    s.w.context = middle * 1024;
    if (s.memory().fits)
      low = middle;
    else
      high = middle - 1;
  }
  return low * 1024;
}

/// The fewest devices, as tp x pp, on which the batch fits; tp stays within the link's domain and divides the heads.
std::optional<Setup> more_devices(const Setup& s) {
  std::vector<std::pair<i64, i64>> layouts;
  i64 domain = s.device.link ? std::min<i64>(s.device.link->domain, 128) : s.device.host_link ? 8 : 1;
  i64 layers = s.model.layer_count();
  for (i64 tp = 1; tp <= domain; ++tp)
    for (i64 pp = 1; pp <= layers; pp = pp < layers && 2 * pp > layers ? layers : 2 * pp) {
      if (tp * pp > s.d.tp * s.d.pp) layouts.emplace_back(tp, pp);
      if (pp == layers) break;
    }
  std::sort(layouts.begin(), layouts.end(), [](auto a, auto b) {
    return std::pair(a.first * a.second, -a.first) < std::pair(b.first * b.second, -b.first);
  });
  for (auto [tp, pp] : layouts) {
    Setup other = s;
    other.d.tp = tp;
    other.d.pp = pp;
    if (other.possible() && other.memory().fits) return other;
  }
  return std::nullopt;
}

}  // namespace

std::vector<std::string> fitting_flags(const Setup& s) {
  std::vector<std::string> flags;
  for (const WhatIf& w : what_ifs(s))
    if (flags.size() < 3 && w.setup.memory().fits) flags.push_back(w.flags);
  i64 context = longest_context(s);
  if (context > 0 && context < s.w.context) flags.push_back(fmt::format("--context {}k", context / 1024));
  if (std::optional<Setup> more = more_devices(s))
    flags.push_back(fmt::format("--tp {}{}  ({} devices)", more->d.tp,
                                more->d.pp > 1 ? fmt::format(" --pp {}", more->d.pp) : "",
                                more->d.tp * more->d.pp * s.d.dp));
  return flags;
}

}  // namespace kvroof
