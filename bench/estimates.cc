// How fast the estimator is: full estimates (what fits, the calibrated step with its parts, floor and range, and the
// metrics of a sweep's default columns) a second on one core, by what changes from one to the next.
//
//   kvroof_bench                 all kinds, a table
//   kvroof_bench batches 100000  one kind, that many estimates: what bench/instructions.sh counts
#include <fmt/format.h>

#include <cstdlib>
#include <ctime>
#include <string>

#include "cli/metric_options.h"
#include "cli/sweep_points.h"

namespace kvroof {
namespace {

struct Kind {
  const char* name;
  const char* varies;
  SetupOptions options;
};

SetupOptions options_of(const char* model, const char* device, const char* tp, const char* context, const char* batch) {
  SetupOptions o;
  o.model.model = model;
  o.hardware.device = device;
  o.layout.tp = tp;
  o.context = context;
  o.batch = batch;
  return o;
}

std::vector<Kind> kinds() {
  return {
      {"batches", "batch, Llama 3.1 8B", options_of("llama-3.1-8b", "h100-sxm", "1", "1k..16k*2", "1..64")},
      {"mixture", "batch, DeepSeek-V3", options_of("deepseek-v3", "h200-sxm", "8", "1k..16k*2", "1..64")},
      {"contexts", "context, then batch 1 and 8", options_of("llama-3.1-8b", "h100-sxm", "1", "1k..4k", "1,8")},
      {"layouts", "tp, then 6 contexts and 10 batches",
       options_of("llama-3.1-8b,qwen3-32b,gemma-3-27b,mixtral-8x7b", "h100-sxm,h200-sxm,b200-sxm,mi300x", "1,2,4,8",
                  "1k..32k*2", "1..512*2")},
  };
}

/// Sum of all metrics, so that none is left out; points are repeated until there are enough.
double estimate(const SweepSpecs& specs, i64 points) {
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

void report(const Kind& kind, i64 points) {
  const Catalog& catalog = Catalog::built_in();
  SweepSpecs specs = specs_of(axes_of(kind.options, catalog), kind.options, catalog);
  std::clock_t begin = std::clock();  // of this process: others may share the core
  double sum = estimate(specs, points);
  double seconds = double(std::clock() - begin) / CLOCKS_PER_SEC;
  fmt::print("{:<9} {:>6.2f} million/s  {:>6.0f} ns each  {} (checksum {:.6g})\n", kind.name,
             double(points) / seconds / 1e6, seconds / double(points) * 1e9, kind.varies, sum);
}

}  // namespace
}  // namespace kvroof

int main(int argc, char** argv) {
  std::string wanted = argc > 1 ? argv[1] : "";
  long long points = argc > 2 ? std::atoll(argv[2]) : 2'000'000;
  for (const kvroof::Kind& kind : kvroof::kinds())
    if (wanted.empty() || wanted == kind.name) kvroof::report(kind, points);
}
