// Quality against speed: what the GQA paper measured of T5-XXL, and what is predicted for the same shapes.
//
// Quality is quoted, never computed: Ainslie et al. 2023 (arXiv 2305.13245), table 1, the mean of seven tasks and the
// seconds a sample takes a TPU v4. Predicted is decoding alone as reports/ratios.md lays it out: tp 8, 256 sequences,
// 128 tokens in the middle of the answer.
#include <fmt/format.h>

#include "cli/figures.h"

namespace kvroof {
namespace {

constexpr struct {
  const char* kind;
  const char* model;
  double seconds, quality;
} published[] = {{"MHA", "t5-v1.1-xxl", 1.51, 47.2},
                 {"GQA-8", "t5-v1.1-xxl-gqa8", 0.28, 47.1},
                 {"MQA", "t5-v1.1-xxl-mqa", 0.24, 46.6}};

}  // namespace

Chart quality_vs_speed(FigureRequest& request) {
  if (!request.models.empty() || !request.devices.empty())
    throw InputError{"chart quality-vs-speed: is of the GQA paper's models; leave out --models and --on\n"};
  request.devices = {"tpu-v4"};
  if (request.layout.tp.empty()) request.layout.tp = "8";
  Workload w{.context = context_of(request, 128), .batch = request.batches.empty() ? 256 : request.batches[0]};
  Plot plot{{.title = "times faster than MHA", .key = "speedup", .unit = AxisUnit::times},
            {.title = "mean quality of seven tasks", .key = "quality", .unit = AxisUnit::number, .from_zero = false},
            {},
            false};
  Series measured{.name = "measured", .joined = false}, predicted{.name = "predicted", .joined = false};
  std::optional<double> mha;
  for (const auto& row : published) {
    measured.points.push_back(
        {.x = published[0].seconds / row.seconds, .y = row.quality, .label = row.kind, .mark = row.kind});
    std::optional<Setup> c = case_of(request, model_of(request, row.model), "tpu-v4", w);
    if (!c) continue;
    double step = c->step(w.batch).expected.value;
    if (!mha) mha = step;
    predicted.points.push_back({.x = *mha / step, .y = row.quality, .label = row.kind});
  }
  plot.series = {measured, predicted};
  return {"quality-vs-speed",
          "Quality against speed: T5-XXL on TPU v4",
          "quality and measured times: Ainslie et al. 2023, table 1",
          {fmt::format("Predicted: decoding alone, tp {}, {} sequences, {} tokens of context. Quality is quoted, not "
                       "computed.",
                       request.layout.tp, w.batch, w.context)},
          plot};
}

}  // namespace kvroof
