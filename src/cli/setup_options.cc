#include "cli/setup_options.h"

#include <algorithm>

#include "cli/model_source.h"
#include "core/units.h"
#include "render/number.h"

namespace kvroof {

void add_options(CommandLine& line, SetupOptions& o) {
  add_options(line, o.model);
  add_options(line, o.hardware);
  add_workload_options(line, o);
  add_refinement_options(line, o);
  add_options(line, o.layout);
  add_options(line, o.cache);
}

void add_workload_options(CommandLine& line, SetupOptions& o, const std::string& batch) {
  line.option("--context", &o.context, "cached tokens of one sequence (default 4096; k = 1024)").metavar("TOKENS");
  line.option("--batch", &o.batch, "sequences decoded together" + batch).metavar("N[,...]");
  line.option("--input", &o.input, "serving: prompt tokens of a request (default 1024)").metavar("TOKENS");
  line.option("--output", &o.output, "serving: generated tokens of a request (default 256)").metavar("TOKENS");
  line.option("--concurrency", &o.concurrency, "serving: requests in the system at all times (default 1)").metavar("N");
  line.option("--rate", &o.rate, "serving: arrivals, such as 4/s; answers the concurrency it settles at")
      .metavar("RATE");
  line.option("--cache-hit", &o.cache_hit,
              "serving: share of prompt tokens found in the prefix cache, those of --shared-prefix counted in")
      .metavar("SHARE");
}

void add_refinement_options(CommandLine& line, SetupOptions& o) {
  line.option("--draft", &o.draft, "speculative decoding: the model that drafts").metavar("MODEL");
  line.option("--accept", &o.accept, "share of drafted tokens that the target keeps (default 0.7)").metavar("SHARE");
  line.option("--draft-len", &o.draft_len, "tokens drafted a cycle (default 4)").metavar("N");
  line.option("--observed", &o.observed, "anchor on your own point, such as tpot=25ms@batch=16").metavar("POINT");
}

std::optional<Load> load_of(const SetupOptions& o) {
  if (!o.asks_to_serve()) return std::nullopt;
  Load load;
  load.input = count_of("--input", o.input, 1024);
  load.output = count_of("--output", o.output, 256);
  if (!o.concurrency.empty()) load.concurrency = double(count_of("--concurrency", o.concurrency, 1, 1 << 20));
  if (!o.rate.empty()) load.rate = rate_of("--rate", o.rate);
  if (!o.cache_hit.empty()) load.cache_hit = share_of("--cache-hit", o.cache_hit);
  if (!o.cache.shared_prefix.empty()) load.shared_prefix = count_of("--shared-prefix", o.cache.shared_prefix, 1);
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

namespace {

std::optional<Draft> draft_of(const SetupOptions& o, const std::optional<Model>& model) {
  if (!model) {
    if (!o.accept.empty() || !o.draft_len.empty())
      throw InputError{"--accept and --draft-len: need a --draft MODEL that drafts\n"};
    return std::nullopt;
  }
  Draft draft;
  draft.model = *model;
  if (!o.accept.empty()) draft.acceptance = share_of("--accept", o.accept);
  draft.length = count_of("--draft-len", o.draft_len, 4, 64);
  return draft;
}

/// The user's own point: what a step takes at a batch, over what is expected of it there.
double anchor_of(const std::string& text, const Setup& s) {
  std::size_t at = text.find("@batch=");
  if (text.rfind("tpot=", 0) != 0 || at == text.npos)
    throw InputError{"--observed: '" + text + "' is not a time and a batch, such as tpot=25ms@batch=16\n"};
  ParsedNumber time = parse_quantity(std::string_view(text).substr(5, at - 5), seconds_dimension);
  ParsedNumber batch = parse_count(std::string_view(text).substr(at + 7), 1, i64(1) << 32);
  if (!time.value) throw InputError{"--observed: " + time.error + "\n"};
  if (*time.value <= 0) throw InputError{"--observed: the time must be more than 0\n"};
  if (!batch.value) throw InputError{"--observed: batch: " + batch.error + "\n"};
  Step expected = s.step(i64(*batch.value));
  if (*time.value < expected.floor.value)
    throw InputError{"--observed: " + duration({*time.value}) + " is less than the floor of " +
                     duration(expected.floor) + " at batch " + std::to_string(i64(*batch.value)) +
                     "\n  check the batch, --context, --tp and formats of that measurement\n"};
  return *time.value / expected.expected.value;
}

}  // namespace

void throw_if_too_short(const Workload& w, const Load& load) {
  if (w.context < load.input + load.output)
    throw InputError{"--context: " + std::to_string(w.context) + " tokens can't hold a request of " +
                     std::to_string(load.input + load.output) + " (--input and --output)\n"};
}

Basis basis_of(const SetupOptions& o, const Device& device) {
  return o.observed.empty() ? device.achievable.basis : Basis::observed;
}

Setup setup_of(const SetupOptions& o, const Specs& specs) {
  Setup s{with_what_ifs(o.model, specs.model),
          with_what_ifs(o.hardware, specs.device),
          {},
          specs.engine,
          specs.range,
          workload_of(o)};
  if (std::optional<Load> load = load_of(o)) throw_if_too_short(s.w, *load);
  s.d = deployment_of(o, s.model, s.engine);
  s.draft = draft_of(o, specs.draft);
  throw_if_any(s.problems());
  if (!o.observed.empty()) s.anchor = anchor_of(o.observed, s);
  return s;
}

Setup setup_of(const SetupOptions& o, const Catalog& catalog) {
  Specs specs{find_model(o.model.model, catalog), find_device(o.hardware, catalog), {}, {}, {}};
  specs.engine = engine_of(o.layout, specs.device, catalog);
  specs.range = catalog.range(basis_of(o, specs.device));
  if (!o.draft.empty()) specs.draft = find_model(o.draft, catalog);
  return setup_of(o, specs);
}

}  // namespace kvroof
