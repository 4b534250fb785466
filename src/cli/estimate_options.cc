#include "cli/estimate_options.h"

#include <CLI/CLI.hpp>

#include "cli/model_source.h"
#include "core/units.h"

namespace kvroof {

void add_options(CLI::App& app, EstimateOptions& o) {
  add_options(app, o.model);
  add_options(app, o.hardware);
  app.add_option("--context", o.context, "cached tokens of one sequence (default 4096; k = 1024)")
      ->option_text("TOKENS");
  app.add_option("--batch", o.batch, "sequences decoded together, or a list (default: 1 and as many as fit)")
      ->option_text("N[,...]");
  app.add_option("--input", o.input, "serving: prompt tokens of a request (default 1024)")->option_text("TOKENS");
  app.add_option("--output", o.generated, "serving: generated tokens of a request (default 256)")
      ->option_text("TOKENS");
  app.add_option("--concurrency", o.concurrency, "serving: requests in the system at all times (default 1)")
      ->option_text("N");
  app.add_option("--rate", o.rate, "serving: arrivals, such as 4/s; answers the concurrency it settles at")
      ->option_text("RATE");
  app.add_option("--cache-hit", o.cache_hit, "serving: share of prompt tokens found in the prefix cache")
      ->option_text("SHARE");
  add_options(app, o.layout);
  add_options(app, o.cache);
}

std::optional<Load> load_of(const EstimateOptions& o) {
  if (o.input.empty() && o.generated.empty() && o.concurrency.empty() && o.rate.empty() && o.cache_hit.empty())
    return std::nullopt;
  Load load;
  load.input = count_of("--input", o.input, 1024);
  load.output = count_of("--output", o.generated, 256);
  if (!o.concurrency.empty()) load.concurrency = double(count_of("--concurrency", o.concurrency, 1, 1 << 20));
  if (!o.rate.empty()) {
    std::string_view rest;
    std::optional<double> rate = parse_decimal(o.rate, &rest);
    if (!rate || !(rest.empty() || rest == "/s") || *rate <= 0)
      throw InputError{"--rate: '" + o.rate + "' is not a rate such as 4/s\n"};
    load.rate = *rate;
  }
  if (!o.cache_hit.empty()) {
    ParsedNumber share = parse_share(o.cache_hit);
    if (!share.value) throw InputError{"--cache-hit: " + share.error + "\n"};
    load.cache_hit = *share.value;
  }
  if (load.concurrency == 0 && load.rate == 0) load.concurrency = 1;
  throw_if_any(problems(load));
  return load;
}

Specs specs_of(const EstimateOptions& o, const Catalog& catalog) {
  Specs specs{find_model(o.model.model, catalog), find_device(o.hardware, catalog), {}, {}};
  specs.engine = engine_of(o.layout, specs.device, catalog);
  specs.range = catalog.range(specs.device.achievable.basis);
  return specs;
}

Setup setup_of(const EstimateOptions& o, const Specs& specs) {
  Setup s{with_what_ifs(o.model, specs.model),
          with_what_ifs(o.hardware, specs.device),
          {},
          specs.engine,
          specs.range,
          {},
          o.hardware.overrides,
          !o.model.kv_heads.empty() || !o.model.attention.empty()};
  s.d = deployment_of(o.cache, o.layout, s.model, s.engine);
  if (!o.model.weights.empty()) s.d.weights = format_of_option("--weights", o.model.weights, format("bf16"));
  std::optional<Load> load = load_of(o);
  s.w.context = count_of("--context", o.context, load ? load->input + load->output : 4096);
  s.w.shared_prefix = o.cache.shared_prefix.empty() ? 0 : count_of("--shared-prefix", o.cache.shared_prefix, 1);
  std::vector<i64> batches = counts_of("--batch", o.batch, {1});
  s.w.batch = *std::max_element(batches.begin(), batches.end());
  throw_if_any(problems(s.model, s.device, s.d, s.w, s.engine));
  return s;
}

i64 request_capacity(const Setup& s, const Load& load) {
  Setup whole = s;
  whole.w = {load.input + load.output, 1, 0};
  whole.d.max_context = 0;
  return memory_of(whole).max_sequences;
}

Estimate estimate_of(const EstimateOptions& o, const Specs& specs) {
  Estimate e{setup_of(o, specs), {}, {}, {}};
  e.memory = memory_of(e.setup);
  if (!e.memory.fits) return e;
  const Setup& s = e.setup;
  e.step = decode_step(s.model, s.device, s.d, s.w, s.engine, s.range);
  if (std::optional<Load> load = load_of(o))
    e.serving = serve(s.model, s.device, s.d, s.engine, *load, request_capacity(s, *load), s.range);
  return e;
}

}  // namespace kvroof
