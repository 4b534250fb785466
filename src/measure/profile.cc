#include "measure/profile.h"

#include <algorithm>
#include <cmath>

#include "core/operations.h"

namespace kvroof {
namespace {

std::string lower_dashed(const std::string& name) {
  std::string id;
  for (char c : name) {
    bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (c >= 'A' && c <= 'Z') c = char(c - 'A' + 'a'), letter = true;
    if (letter)
      id += c;
    else if (!id.empty() && id.back() != '-')
      id += '-';
  }
  while (!id.empty() && id.back() == '-') id.pop_back();
  return id.empty() ? "this-cpu" : id;
}

}  // namespace

Device device_of(const Profile& p) { return device_of(p, p.tiers.size() - 1); }

Device device_of(const Profile& p, std::size_t index, Paging paging) {
  const MeasuredTier& tier = p.tiers[index];
  auto as_paged = [&](const Streams& s) { return paging == Paging::contiguous ? s.contiguous : s.paged; };
  Fit fit = as_paged(tier.vectors);
  bool main_memory = index + 1 == p.tiers.size();
  Device d;
  d.id = lower_dashed(p.cpu_name);
  d.name = p.cpu_name + " (measured, " + std::to_string(p.threads) + (p.threads == 1 ? " thread)" : " threads)");
  d.vendor = "measured";
  d.device_class = "cpu";
  d.status = "measured";
  d.peak[int(Arithmetic::fp32)] = p.peak;
  d.peak[int(Arithmetic::bf16)] = p.tile_peak;
  d.memory = {{main_memory ? "main memory" : "cache", tier.capacity, tier.bandwidth, std::nullopt, std::nullopt}};
  if (main_memory && p.tiers.size() > 1) d.cache = Cache{p.tiers[index - 1].capacity, p.tiers[index - 1].bandwidth};
  d.cores = p.threads;
  Achievable& a = d.achievable;
  a.basis = Basis::measured_kernels;
  a.compute = 1;
  for (const CoreCost& cost : p.core)  // the last of bf16 is the one on tiles, if any
    if (cost.format == format("bf16")) a.compute = std::min(1.0, cost.rate / p.peak_of(cost.block));
  a.overlap = {fit.hidden};
  a.linears[int(Arithmetic::bf16)] = LinearRate{fit.fraction, p.fork_join};
  a.attention[int(Arithmetic::bf16)] = AttentionRate{fit.fraction, p.fork_join, {}};
  a.core = p.core;
  for (CoreCost& cost : a.core)
    if (cost.block > 1) {
      Fit tiles = as_paged(tier.tiles);
      cost.fraction = tiles.fraction;
      cost.overlap = Overlap{tiles.hidden};
    }
  a.source = "kvroof measure: read and multiply-add loops, and the decode-attention kernel on cached data (" +
             p.instruction_set + ")";
  d.source = "measured on the machine itself by kvroof measure";
  d.confidence = Confidence::A;
  d.notes = {"bandwidth and peak are what loops reached, not a datasheet's: a floor means no faster than those loops",
             "linears were not timed: they take the attention kernel's shares of bandwidth and peak"};
  return d;
}

Device unhidden(Device d) {
  d.achievable.attention[int(Arithmetic::bf16)] = AttentionRate{1, {}, {}};
  d.achievable.overlap = Overlap::sum();
  for (CoreCost& cost : d.achievable.core) cost.fraction.reset(), cost.overlap.reset();
  return d;
}

Seconds predict(const AttentionShape& shape, const Device& device) {
  Model model;
  Deployment d;
  d.cache.key = d.cache.value = shape.format;
  Engine alone;  // no engine hides the launch
  Schedule schedule(model, device, d, alone);
  Pass pass(schedule, {1});
  pass.attention(schedule.decode(layer_of(shape), {shape.context, 1, 0}), 1);
  return pass.seconds();
}

std::vector<MeasuredTier> tiers_of(const std::vector<SweepPoint>& sweep) {
  constexpr double within = 0.65, slope = 0.75;
  std::vector<MeasuredTier> tiers;
  std::size_t i = 0;
  while (i < sweep.size()) {
    // On the slope between two tiers: the next working set is slower still.
    if (!tiers.empty() && i + 1 < sweep.size() && sweep[i + 1].bandwidth < slope * sweep[i].bandwidth) {
      ++i;
      continue;
    }
    MeasuredTier tier;
    tier.capacity = sweep[i].working_set;
    tier.bandwidth = sweep[i].bandwidth;
    for (++i; i < sweep.size(); ++i) {
      bool next_too = i + 1 >= sweep.size() || sweep[i + 1].bandwidth < within * tier.bandwidth;
      if (sweep[i].bandwidth < within * tier.bandwidth && next_too) break;
      tier.capacity = sweep[i].working_set;
      tier.bandwidth = larger(tier.bandwidth, sweep[i].bandwidth);
    }
    tiers.push_back(tier);
  }
  return tiers;
}

CoreCost core_cost_of(const Format& format, const CoreTimes& times, FlopRate peak, CoreGroups groups) {
  // Per element of keys and values, t = element + 2 G / rate + score G / (2 width).
  double narrow = times.narrow_group.value / 256, wide = times.wide_group.value / 256,
         half = times.half_width.value / 128;
  CoreCost cost;
  cost.format = format;
  double wide_group = double(groups.wide), narrow_group = double(groups.narrow);
  cost.score.value = std::max(0.0, (half - wide) / (wide_group / 128 - wide_group / 256));
  double per_query = (wide - narrow) / (wide_group - narrow_group);  // one query more: its flops and its score
  double flops = std::max(2 / peak.value, per_query - cost.score.value / 256);
  cost.score.value = std::min(cost.score.value, std::max(0.0, (per_query - flops) * 256));
  cost.rate.value = 2 / flops;
  cost.element.value = std::max(0.0, narrow - narrow_group * (flops + cost.score.value / 256));
  return cost;
}

Fit fit_of(const std::vector<FitPoint>& points) {
  Fit best;
  double least = INFINITY;
  for (int f = 100; f >= 40; --f)
    for (int h = 0; h <= 100; h += 2) {
      double sum = 0;
      for (const FitPoint& p : points) {
        double off = std::log(Overlap{h / 100.0}.join(p.stream / (f / 100.0), p.core) / p.measured);
        sum += off * off;
      }
      if (sum < least) least = sum, best = {f / 100.0, h / 100.0};
    }
  return points.empty() ? Fit{} : best;
}

}  // namespace kvroof
