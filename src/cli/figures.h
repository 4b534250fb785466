// The charts kvroof can draw: one function and one row of the table each.
//
// A figure turns a request into a Chart, which is values only; drawing it, printing its data and naming what was
// left out is the same for all. To add a chart, write its function and add its row.
#pragma once

#include <functional>
#include <span>

#include "cli/cases.h"
#include "render/chart.h"

namespace kvroof {

struct Figure {
  const char* name;
  const char* summary;
  Chart (*draw)(FigureRequest& request);
};

std::span<const Figure> figures();

// Bytes: memory_figures.cc.
Chart kv_vs_context(FigureRequest& request);
Chart kv_by_kind(FigureRequest& request);
Chart memory_breakdown(FigureRequest& request);
Chart concurrency_vs_context(FigureRequest& request);
// Time: speed_figures.cc.
Chart throughput_vs_batch(FigureRequest& request);
Chart tokens_per_user(FigureRequest& request);
Chart step_breakdown(FigureRequest& request);
Chart gap_mha_gqa_by_device(FigureRequest& request);
Chart speedup_vs_context(FigureRequest& request);
// Money: cost_figure.cc.
Chart cost(FigureRequest& request);
// Against the clock: validation_figure.cc.
Chart validation(FigureRequest& request);
// Published quality: quality_figure.cc.
Chart quality_vs_speed(FigureRequest& request);
// Intensity: roofline_figure.cc.
Chart roofline(FigureRequest& request);

/// One model in the shape of another kind of attention.
struct Kind {
  std::string name;  ///< MHA, GQA-8, MQA, MLA
  Model model;
  bool own = false;
};

/// MHA, GQA, MQA and MLA of a model's shape, as far as it has them; MLA takes DeepSeek's latent of 512 + 64.
std::vector<Kind> kinds_for(const Model& model);
/// The first context or batch asked for, or the figure's default.
i64 context_of(const FigureRequest& request, i64 fallback);
/// Batches asked for, or 1, 2, 4 … and the most that fit.
std::vector<i64> batches_of(const FigureRequest& request, const Setup& c);
/// Tokens/s of one user, the axis of what a batch trades for it.
Axis user_speed_axis();
/// One case over its batches, `y` of each step against the speed of a user; the ends are marked with their batch.
Series curve_over_batches(const FigureRequest& request, const Setup& c, const std::function<double(const Step&)>& y);
/// `8,192 tokens of context, fp8 KV cache`.
std::string workload_words(const FigureRequest& request, i64 context);
/// `, vLLM`: the engine of the cases, where there is one.
std::string engine_words(const std::vector<Setup>& cases);

}  // namespace kvroof
