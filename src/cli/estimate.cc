// `kvroof estimate MODEL HARDWARE`: what fits, how fast it decodes, what limits it and what would lift that.
// Without --batch it answers for one sequence and for as many as fit.

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands.h"
#include "cli/estimate_page.h"
#include "cli/options.h"
#include "core/units.h"

namespace kvroof {
namespace {

struct EstimateOptions {
  OutputOptions output;
  CatalogOptions catalog;
  ModelOptions model;
  HardwareOptions hardware;
  CacheOptions cache;
  DeploymentOptions layout;
  std::string context, batch;
  std::string input, generated, concurrency, rate, cache_hit;
  bool explain = false;
};

/// The serving load, when any of its options is given.
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

int run(const EstimateOptions& o) {
  Catalog catalog = catalog_of(o.catalog);
  Setup s{model_of(o.model, catalog), device_of(o.hardware, catalog), {}, {}, {}, {}};
  s.engine = engine_of(o.layout, s.device, catalog);
  s.overrides = o.hardware.overrides;
  s.reshaped = !o.model.kv_heads.empty() || !o.model.attention.empty();
  s.range = catalog.range(s.device.achievable.basis);
  s.d = deployment_of(o.cache, o.layout, s.model, s.engine);
  if (!o.model.weights.empty()) s.d.weights = format_of_option("--weights", o.model.weights, format("bf16"));
  std::optional<Load> load = load_of(o);
  s.w.context = count_of("--context", o.context, load ? load->input + load->output : 4096);
  s.w.shared_prefix = o.cache.shared_prefix.empty() ? 0 : count_of("--shared-prefix", o.cache.shared_prefix, 1);
  std::vector<i64> batches = counts_of("--batch", o.batch, {});
  s.w.batch = batches.empty() ? 1 : *std::max_element(batches.begin(), batches.end());
  throw_if_any(problems(s.model, s.device, s.d, s.w, s.engine));

  EstimatePage page{s, memory_of(s)};
  bool asked = !batches.empty();
  if (!asked) {
    batches = {1};
    i64 most = std::min<i64>(page.memory.max_sequences, 1 << 20);
    if (most > 1) batches.push_back(most);
  }
  page.head();
  page.memory_facts();
  // Of a list of batches those that fit are answered; the largest decides whether all do.
  for (i64 batch : batches) {
    if (batch > page.memory.max_sequences && !page.memory.fits) continue;
    Workload w = s.w;
    w.batch = batch;
    page.points.push_back(decode_step(s.model, s.device, s.d, w, s.engine, s.range));
  }
  page.speed();
  page.parts();
  if (load && page.memory.fits) page.serving(*load);
  if (!page.memory.fits) page.does_not_fit();
  if (o.explain) page.explain();
  page.notes();
  print(page.doc, o.output);
  return page.memory.fits && !page.unstable ? 0 : 1;
}

}  // namespace

void add_estimate(CLI::App& app, int& exit_code) {
  auto o = std::make_shared<EstimateOptions>();
  describe(app,
           "  kvroof estimate llama-3.1-70b h100-sxm --tp 4 --context 8k\n"
           "  kvroof estimate llama-3-8b a100-sxm-80 --batch 1,32 --explain\n"
           "  kvroof estimate llama-2-70b mi300x --attention mha --kv-dtype fp8\n"
           "  kvroof estimate qwen3-32b h100-sxm --tp 2 --input 1k --output 256 --concurrency 64\n"
           "  kvroof estimate qwen3-32b l40s --weights awq --hardware-override bandwidth=1TB/s\n\n"
           "Exit code 0: fits; 1: does not fit or can't keep up; 2: bad input.");
  add_options(app, o->model);
  add_options(app, o->hardware);
  app.add_option("--context", o->context, "cached tokens of one sequence (default 4096; k = 1024)")
      ->option_text("TOKENS");
  app.add_option("--batch", o->batch, "sequences decoded together, or a list (default: 1 and as many as fit)")
      ->option_text("N[,...]");
  app.add_option("--input", o->input, "serving: prompt tokens of a request (default 1024)")->option_text("TOKENS");
  app.add_option("--output", o->generated, "serving: generated tokens of a request (default 256)")
      ->option_text("TOKENS");
  app.add_option("--concurrency", o->concurrency, "serving: requests in the system at all times (default 1)")
      ->option_text("N");
  app.add_option("--rate", o->rate, "serving: arrivals, such as 4/s; answers the concurrency it settles at")
      ->option_text("RATE");
  app.add_option("--cache-hit", o->cache_hit, "serving: share of prompt tokens found in the prefix cache")
      ->option_text("SHARE");
  add_options(app, o->layout);
  add_options(app, o->cache);
  app.add_flag("--explain", o->explain, "show how each figure follows from its parts");
  add_options(app, o->catalog);
  add_options(app, o->output);
  app.callback([o, &exit_code] { exit_code = run(*o); });
}

}  // namespace kvroof
