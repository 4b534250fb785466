// What a chart runs over: every model asked for on every device asked for, laid out on devices, with its engine.
//
// Without --tp or --pp a model gets the fewest devices (a power of two) on which at least eight sequences fit, or
// the batch asked for; a pair that fits on none, or not on the layout asked for, is left out and named.
#pragma once

#include <string>
#include <vector>

#include "cli/options.h"
#include "core/setup.h"

namespace kvroof {

/// The options of a chart as given; an empty list leaves the choice to the chart.
struct FigureRequest {
  const Catalog& catalog;
  std::vector<std::string> models, devices;
  std::vector<i64> contexts, batches;
  std::vector<std::string> kv_formats;
  CacheOptions cache;
  DeploymentOptions layout;
  std::string weights;
  std::vector<std::string> tables;         ///< of measured figures
  std::vector<std::string> left_out = {};  ///< what could not be drawn, and why
};

/// A model by name with the weights format asked for.
Model model_of(const FigureRequest& request, const std::string& name);

/// One model laid out on one device for the workload; none when it does not fit, which `left_out` then says.
std::optional<Setup> case_of(FigureRequest& request, const Model& model, const std::string& device, const Workload& w);

/// All models asked for, or the default ones, on all devices.
std::vector<Setup> cases_of(FigureRequest& request, const std::vector<std::string>& models,
                            const std::vector<std::string>& devices, const Workload& w);

/// `H100 SXM5 80GB`: a device's name without vendor and remarks.
std::string short_name(const Device& device);
/// `4 x H100 SXM5 80GB`.
std::string devices_name(const Setup& c);
/// What tells the cases apart: model, devices, or both.
std::vector<std::string> names_of(const std::vector<Setup>& cases);
/// What all cases have in common, for a title: `Llama 3.1 8B`, `4 x H100`, both, or empty.
std::string common_name(const std::vector<Setup>& cases);

}  // namespace kvroof
