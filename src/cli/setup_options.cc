#include "cli/setup_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "cli/model_source.h"
#include "core/units.h"

namespace kvroof {

void add_options(CLI::App& app, SetupOptions& o) {
  add_options(app, o.model);
  add_options(app, o.hardware);
  add_workload_options(app, o);
  add_options(app, o.layout);
  add_options(app, o.cache);
}

void add_workload_options(CLI::App& app, SetupOptions& o) {
  app.add_option("--context", o.context, "cached tokens of one sequence (default 4096; k = 1024)")
      ->option_text("TOKENS");
  app.add_option("--batch", o.batch, "sequences decoded together, or a list (default: 1 and as many as fit)")
      ->option_text("N[,...]");
  app.add_option("--input", o.input, "serving: prompt tokens of a request (default 1024)")->option_text("TOKENS");
  app.add_option("--output", o.output, "serving: generated tokens of a request (default 256)")->option_text("TOKENS");
  app.add_option("--concurrency", o.concurrency, "serving: requests in the system at all times (default 1)")
      ->option_text("N");
  app.add_option("--rate", o.rate, "serving: arrivals, such as 4/s; answers the concurrency it settles at")
      ->option_text("RATE");
  app.add_option("--cache-hit", o.cache_hit, "serving: share of prompt tokens found in the prefix cache")
      ->option_text("SHARE");
}

std::optional<Load> load_of(const SetupOptions& o) {
  if (!o.asks_to_serve()) return std::nullopt;
  Load load;
  load.input = count_of("--input", o.input, 1024);
  load.output = count_of("--output", o.output, 256);
  if (!o.concurrency.empty()) load.concurrency = double(count_of("--concurrency", o.concurrency, 1, 1 << 20));
  if (!o.rate.empty()) load.rate = rate_of("--rate", o.rate);
  if (!o.cache_hit.empty()) load.cache_hit = share_of("--cache-hit", o.cache_hit);
  if (load.concurrency == 0 && load.rate == 0) load.concurrency = 1;
  throw_if_any(problems(load));
  return load;
}

std::vector<i64> batches_of(const SetupOptions& o) { return counts_of("--batch", o.batch, {}); }

Deployment deployment_of(const SetupOptions& o, const Model& model, const Engine& engine) {
  Deployment d = deployment_of(o.cache, o.layout, model, engine);
  if (!o.model.weights.empty()) d.weights = format_of_option("--weights", o.model.weights, format("bf16"));
  return d;
}

Workload workload_of(const SetupOptions& o) {
  std::optional<Load> load = load_of(o);
  std::vector<i64> batches = batches_of(o);
  Workload w;
  w.context = count_of("--context", o.context, load ? load->input + load->output : 4096);
  w.batch = batches.empty() ? 1 : *std::max_element(batches.begin(), batches.end());
  w.shared_prefix = o.cache.shared_prefix.empty() ? 0 : count_of("--shared-prefix", o.cache.shared_prefix, 1);
  return w;
}

Setup setup_of(const SetupOptions& o, const Specs& specs) {
  Setup s{with_what_ifs(o.model, specs.model),
          with_what_ifs(o.hardware, specs.device),
          {},
          specs.engine,
          specs.range,
          workload_of(o)};
  s.d = deployment_of(o, s.model, s.engine);
  throw_if_any(s.problems());
  return s;
}

Setup setup_of(const SetupOptions& o, const Catalog& catalog) {
  Specs specs{find_model(o.model.model, catalog), find_device(o.hardware, catalog), {}, {}};
  specs.engine = engine_of(o.layout, specs.device, catalog);
  specs.range = catalog.range(specs.device.achievable.basis);
  return setup_of(o, specs);
}

}  // namespace kvroof
