// The roofline of one device: what its tiers allow, and where decode steps and kinds of attention land below.
//
// Points show achieved work: flops of a step over its expected time, against flops per byte it moves, both of
// one rank. A kind of attention is the cache part of a step at the largest batch of that kind that fits.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/describe.h"
#include "cli/figures.h"
#include "render/number.h"

namespace kvroof {
namespace {

Series roof(const std::string& name, Bandwidth rate, FlopRate peak, double low, double high) {
  double ridge = peak.value / rate.value;
  Series s{.name = name, .marked = false, .name_at = 1};
  for (double x : {low, std::sqrt(low * ridge), ridge, std::sqrt(ridge * high), high})
    if (x >= low && x <= high) s.points.push_back({.x = x, .y = std::min(peak.value, x * rate.value)});
  return s;
}

}  // namespace

Chart roofline(FigureRequest& request) {
  if (request.models.size() > 1 || request.devices.size() > 1)
    throw InputError{"chart roofline: takes one model and one device\n"};
  Workload w{.context = context_of(request, 8192), .batch = 1};
  std::vector<Setup> cases = cases_of(request, {"llama-3.1-8b"}, {"h100-sxm"}, w);
  Plot plot{{.title = "flop per byte moved",
             .key = "flop_per_byte",
             .unit = AxisUnit::number,
             .log = true,
             .noun = "flop/byte"},
            {.title = "arithmetic done", .key = "flop_per_second", .unit = AxisUnit::flop_rate, .log = true},
            {},
            false};
  Chart chart{"roofline", "Roofline", workload_words(request, w.context), {}, plot};
  if (cases.empty()) return chart;
  const Setup& c = cases[0];
  Series steps{.name = "decode step", .ink = 0};
  steps.named = false;
  std::vector<i64> batches = request.batches;
  i64 most = std::min<i64>(c.memory().max_sequences, 1 << 16);
  if (batches.empty())
    for (i64 b : {i64(1), i64(8), i64(64), most})
      if (b <= most && (batches.empty() || b > batches.back())) batches.push_back(b);
  for (i64 batch : batches) {
    if (batch > most) {
      request.left_out.push_back(fmt::format("{} at batch {} does not fit ({} do)", c.model.name, batch, most));
      continue;
    }
    Step step = c.step(batch);
    Bytes bytes;
    Flops flops;
    for (const StepPart& p : step.parts) bytes += p.bytes, flops += p.flops;
    steps.points.push_back({.x = flops.value / bytes.value,
                            .y = flops.value / step.expected.value,
                            .label = fmt::format("batch {}", batch),
                            .mark = fmt::format("batch {}", batch)});
  }
  Series attention{.name = "attention", .joined = false, .ink = 1};
  attention.named = false;
  for (const Kind& kind : kinds_for(c.model)) {
    Setup as = c;
    as.model = kind.model;
    if (!as.possible()) continue;
    i64 batch = std::min<i64>(as.memory().max_sequences, 1 << 16);
    if (batch < 1) continue;
    for (const StepPart& p : as.step(batch).parts)
      if (p.kind == PartKind::kv_cache && p.bytes.value > 0)
        attention.points.push_back({.x = p.flops.value / p.bytes.value,
                                    .y = p.flops.value / p.seconds.value,
                                    .label = fmt::format("{}, batch {}", kind.name, batch),
                                    .mark = kind.name});
  }
  std::optional<FlopRate> peak = c.device.peak_for(Arithmetic::bf16);
  double low = 0.5, high = 1000;
  for (const Series* s : {&steps, &attention})
    for (const Point& p : s->points) low = std::min(low, p.x * 0.7), high = std::max(high, p.x * 1.5);
  plot.series = {steps, attention};
  int ink = 2;
  auto add_roof = [&](const std::string& kind, Bandwidth rate, bool dashed) {
    Series s = roof(fmt::format("{}, {}", kind, bandwidth(rate)), rate, *peak, low, high);
    s.ink = ink++;
    s.dashed = dashed;
    if (!dashed && ink == 3) s.points[s.points.size() - 2].mark = flop_rate(*peak);
    plot.series.push_back(s);
  };
  if (peak) {
    high = std::max(high, 3 * *peak / FlopRate{c.device.memory.back().reachable().value});
    for (const MemoryTier& tier : c.device.memory) add_roof(tier.kind, tier.reachable(), false);
    if (c.device.cache && c.device.cache->bandwidth) add_roof("last-level cache", *c.device.cache->bandwidth, true);
    chart.notes.push_back(
        "Circles: whole decode steps. Squares: attention alone, as each kind, with as many sequences as fit. Both are "
        "expected times; the roofs are datasheet bandwidths and the dense bf16 peak.");
  } else {
    chart.notes.push_back("The device's peak rate in bf16 is not known: no roof.");
  }
  chart.title = fmt::format("Roofline: {} on {}", c.model.name, devices_name(c));
  chart.subtitle = workload_words(request, w.context) + engine_words(cases);
  chart.body = plot;
  return chart;
}

}  // namespace kvroof
