// The options of one estimate, from text to a Setup: what `estimate` asks once, `sweep` many times and `compare` twice.
#pragma once

#include <optional>

#include "cli/options.h"
#include "core/serving.h"
#include "core/setup.h"

namespace kvroof {

struct SetupOptions {
  ModelOptions model;
  HardwareOptions hardware;
  CacheOptions cache;
  DeploymentOptions layout;
  std::string context, batch;
  std::string input, output, concurrency, rate, cache_hit;
  std::string draft, accept, draft_len;
  std::string observed;

  bool asks_to_serve() const {
    return !(input.empty() && output.empty() && concurrency.empty() && rate.empty() && cache_hit.empty());
  }
  /// A what-if changed the model itself, so no engine can run it.
  bool reshapes() const { return !model.kv_heads.empty() || !model.attention.empty(); }
};

/// What the catalogue or a file says, before any what-if.
struct Specs {
  Model model;
  Device device;
  Engine engine;
  RangeRule range;
  std::optional<Model> draft;
};

/// All of them: what `estimate` takes, and a scenario of `check`.
void add_options(CommandLine& line, SetupOptions& options);
/// Context, batch and serving load; `batch` is what --help adds on it.
void add_workload_options(CommandLine& line, SetupOptions& options,
                          const std::string& batch = ", or a list (default: 1 and as many as fit)");

/// What refines one estimate: a draft model, and a measurement of the user's own.
void add_refinement_options(CommandLine& line, SetupOptions& options);

/// The serving load, when any of its options is given. Throws InputError.
std::optional<Load> load_of(const SetupOptions& options);

/// The batches asked for, in the order given; none when --batch is not given.
std::vector<i64> batches_of(const SetupOptions& options);

/// How the model is laid out, in which formats, by the engine.
Deployment deployment_of(const SetupOptions& options, const Model& model, const Engine& engine);
/// The largest batch, at the context asked for or the one that the load fills.
Workload workload_of(const SetupOptions& options);

/// Throws InputError where the context can't hold a request of the load.
void throw_if_too_short(const Workload& workload, const Load& load);

/// What the times of these options rest on: the device's constants, or the user's own point.
Basis basis_of(const SetupOptions& options, const Device& device);

/// Everything together, checked: an InputError lists what is wrong.
Setup setup_of(const SetupOptions& options, const Catalog& catalog);
/// The same of specs at hand, which the options' what-ifs change.
Setup setup_of(const SetupOptions& options, const Specs& specs);

}  // namespace kvroof
