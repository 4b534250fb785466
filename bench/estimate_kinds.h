// Full estimates as a sweep makes them: what fits, the calibrated step with its parts, floor and range, and the metrics
// of its default columns; by what changes from one estimate to the next.
#pragma once

#include <string>
#include <vector>

#include "cli/metric_options.h"
#include "cli/sweep_points.h"

namespace kvroof {

struct Kind {
  const char* name;
  const char* varies;
  SetupOptions options;
};

inline SetupOptions options_of(const char* model, const char* device, const char* tp, const char* context,
                               const char* batch) {
  SetupOptions o;
  o.model.model = model;
  o.hardware.device = device;
  o.layout.tp = tp;
  o.context = context;
  o.batch = batch;
  return o;
}

inline std::vector<Kind> kinds() {
  return {
      {"batches", "batch, Llama 3.1 8B", options_of("llama-3.1-8b", "h100-sxm", "1", "1k..16k*2", "1..64")},
      {"mixture", "batch, DeepSeek-V3", options_of("deepseek-v3", "h200-sxm", "8", "1k..16k*2", "1..64")},
      {"contexts", "context, then batch 1 and 8", options_of("llama-3.1-8b", "h100-sxm", "1", "1k..4k", "1,8")},
      {"layouts", "tp, then 6 contexts and 10 batches",
       options_of("llama-3.1-8b,qwen3-32b,gemma-3-27b,mixtral-8x7b", "h100-sxm,h200-sxm,b200-sxm,mi300x", "1,2,4,8",
                  "1k..32k*2", "1..512*2")},
  };
}

inline SweepSpecs specs_of(const Kind& kind) {
  const Catalog& catalog = Catalog::built_in();
  return specs_of(axes_of(kind.options, catalog), kind.options, catalog);
}

/// Sum of all metrics, so that none is left out; points are repeated until there are enough.
inline double estimate(const SweepSpecs& specs, i64 points) {
  static const std::vector<const Metric*> columns = metrics_named("", "fits,expected,low,high,throughput");
  SweepWalker walker(specs);
  i64 all = points_of(specs.axes);
  double sum = 0;
  for (i64 i = 0; i < points; ++i) {
    if (!walker.move_to(i % all)) continue;
    Outcome outcome = walker.outcome();
    for (const Metric* m : columns) sum += m->number(outcome).value_or(0);
  }
  return sum;
}

}  // namespace kvroof
