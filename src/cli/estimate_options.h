// One estimate as asked for: the options of `estimate`, which a scenario of `check` takes by the same names.
//
// Options and specs are apart, so that the same question can be put to another model entry, device entry or engine:
// specs_of looks them up, setup_of applies what the options change, estimate_of answers.
#pragma once

#include "cli/options.h"
#include "cli/what_if.h"
#include "core/serving.h"

namespace kvroof {

struct EstimateOptions {
  ModelOptions model;
  HardwareOptions hardware;
  CacheOptions cache;
  DeploymentOptions layout;
  std::string context, batch;
  std::string input, generated, concurrency, rate, cache_hit;
};

/// What the catalogue or a file says, before any what-if.
struct Specs {
  Model model;
  Device device;
  Engine engine;
  RangeRule range;
};

/// An answer in values: what fits, and the step and the load where they do.
struct Estimate {
  Setup setup;
  Memory memory;
  std::optional<Step> step;
  std::optional<Serving> serving;
};

void add_options(CLI::App& app, EstimateOptions& options);

/// The serving load, when any of its options is given.
std::optional<Load> load_of(const EstimateOptions& options);
Specs specs_of(const EstimateOptions& options, const Catalog& catalog);
/// Throws an InputError with all that is wrong with laying this out so.
Setup setup_of(const EstimateOptions& options, const Specs& specs);
/// Requests a replica admits: sequences of the whole prompt and answer that fit.
i64 request_capacity(const Setup& setup, const Load& load);
Estimate estimate_of(const EstimateOptions& options, const Specs& specs);

}  // namespace kvroof
