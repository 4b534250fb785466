// `kvroof train MODEL` and `kvroof uptrain MODEL --kv-heads G --on HARDWARE`: the articles' two claims about training.
//
// That sharing KV heads changes training little depends on what is held equal: with the feed-forward as it was, fewer
// KV heads are fewer parameters; widened until the parameters are equal again, as published models do, nearly nothing
// changes. Both are shown. Uptraining costs a share of the pre-training once and is paid back by tokens served cheaper.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "cli/commands.h"
#include "cli/describe.h"
#include "cli/setup_options.h"
#include "core/metric.h"
#include "core/training.h"
#include "core/units.h"
#include "render/number.h"

namespace kvroof {
namespace {

/// `15T`, `300B`, `1e12`: tokens of a training run, in decimal thousands.
double training_tokens(const std::string& text) {
  std::string_view rest;
  std::optional<double> number = parse_decimal(text, &rest);
  constexpr std::pair<std::string_view, double> units[] = {{"", 1}, {"M", 1e6}, {"B", 1e9}, {"T", 1e12}};
  for (auto [name, factor] : units)
    if (number && *number > 0 && rest == name) return *number * factor;
  throw InputError{"--trained-tokens: '" + text + "' is not a number of tokens such as 15T or 300B\n"};
}

// ---- train ------------------------------------------------------------------------------------------------

struct TrainOptions {
  ModelOptions model;
  CatalogOptions catalog;
  OutputOptions output;
  std::string context;
};

struct HeadCount {
  std::string name;
  Model model;
};

/// The model as it is, and with all, 8 and one KV heads where those differ from it.
std::vector<HeadCount> variants_of(const Model& model) {
  std::vector<HeadCount> found = {{"as it is (" + kinds_of(model) + ")", model}};
  for (auto [name, heads] : {std::pair("MHA", i64(0)), std::pair("GQA-8", i64(8)), std::pair("MQA", i64(1))}) {
    Model other = with_kv_heads(model, heads);
    if (problems(other).empty() && kinds_of(other) != kinds_of(model)) found.push_back({name, other});
  }
  return found;
}

int run(const TrainOptions& o) {
  if (!o.model.weights.empty())
    throw InputError{"--weights: training state is 16 bytes a parameter in any served format\n"};
  Catalog catalog = catalog_of(o.catalog);
  Model model = model_of(o.model, catalog);
  i64 context = count_of("--context", o.context, 4096);
  Document doc;
  doc.json = {{"schema_version", 1}, {"command", "train"}, {"model", model.id}, {"context_tokens", context}};
  Model mha = with_kv_heads(model, 0);
  TrainingCost base = training_cost(problems(mha).empty() ? mha : model, context);
  Table table{{"<KV heads", "params", "FFN", "states", "kept/seq", "flops/token", "step"}, {}};
  doc.json["variants"] = Json::array();
  doc.csv.columns = {"variant", "widened", "parameters", "state_bytes", "activation_bytes", "flops_per_token", "ratio"};
  auto add = [&](const std::string& name, const Model& m, bool widened) {
    TrainingCost c = training_cost(m, context);
    double step = c.per_token() / base.per_token();
    table.rows.push_back({name, parameters(double(c.parameters)), count(double(c.width)), size(c.states),
                          size(c.activations), significant(c.per_token().value / 1e9, 4) + " G",
                          fmt::format("{:+.1f} %", 100 * (step - 1))});
    doc.json["variants"].push_back({{"name", name},
                                    {"widened", widened},
                                    {"parameters", c.parameters},
                                    {"state_bytes", c.states.value},
                                    {"activation_bytes_per_sequence", c.activations.value},
                                    {"flops_per_token", c.per_token().value},
                                    {"step_over_mha", step}});
    doc.csv.rows.push_back({name, widened ? "true" : "false", std::to_string(c.parameters),
                            fmt::format("{:.0f}", c.states.value), fmt::format("{:.0f}", c.activations.value),
                            fmt::format("{:.0f}", c.per_token().value), fmt::format("{:.6g}", step)});
  };
  for (const HeadCount& v : variants_of(model)) {
    add(v.name, v.model, false);
    std::optional<Model> wide = widened_to(v.model, base.parameters);
    if (wide && training_cost(v.model, context).parameters < base.parameters) add("  widened", *wide, true);
  }
  doc.blocks = {Heading{fmt::format("Training {} on sequences of {} tokens", model.name, count(double(context)))},
                table,
                Notes{{"step: flops a token against MHA with the same feed-forward; a compute-bound step takes as long",
                       "states: bf16 weights and gradients, f32 master weights and Adam's moments (16 B a parameter)",
                       "widened: the feed-forward, until the model has MHA's parameters again",
                       "kept/seq: for the backward pass, attention's scores recomputed; without tensor parallelism"}}};
  print(doc, o.output);
  return 0;
}

// ---- uptrain ----------------------------------------------------------------------------------------------

struct UptrainOptions {
  SetupOptions setup;
  CatalogOptions catalog;
  OutputOptions output;
  std::string kv_heads, trained, share, mfu;
};

/// Device-seconds that a served token costs at the largest batch that fits.
struct Served {
  i64 batch = 0;
  double device_seconds = 0;
};

Served served(Setup s) {
  Memory m = s.memory();
  if (m.max_sequences < 1)
    throw InputError{s.model.id + " does not fit on " + std::to_string(s.d.devices()) + " x " + s.device.id +
                     "\n  give --tp\n"};
  i64 batch = std::min<i64>(m.max_sequences, 256);
  return {batch, double(s.d.devices()) / s.step(batch).tokens_per_second};
}

int run(const UptrainOptions& o) {
  Catalog catalog = catalog_of(o.catalog);
  Setup before = setup_of(o.setup, catalog);
  Setup after = before;
  i64 heads = count_of("--kv-heads", o.kv_heads, 8);
  after.model = with_kv_heads(before.model, heads);
  throw_if_any(problems(after.model));
  throw_if_any(after.problems());
  if (sequence_cache(after.model, after.w.context, after.d) >= sequence_cache(before.model, before.w.context, before.d))
    throw InputError{"--kv-heads: " + std::to_string(heads) + " are no fewer than " + before.model.id + " has\n"};
  Parameters p = count_parameters(before.model);
  double tokens = o.trained.empty() ? optimal_tokens_per_parameter * double(p.total) : training_tokens(o.trained);
  double share = o.share.empty() ? uptraining_share : share_of("--share", o.share);
  double mfu = o.mfu.empty() ? 0.4 : share_of("--mfu", o.mfu);
  std::optional<FlopRate> peak = before.device.peak_for(Arithmetic::bf16);
  if (!peak || mfu <= 0)
    throw InputError{"--on: " + before.device.id + " has no known peak, so training can't be timed\n"};
  Flops flops = uptraining_flops(before.model, tokens, share);
  Seconds device_time = flops / (mfu * *peak);
  double price = before.device.price ? before.device.price->dollars_per_hour : 0;
  Served was = served(before), is = served(after);
  double saved = was.device_seconds - is.device_seconds;
  double pays_after = saved > 0 ? device_time.value / saved : 0;

  Document doc;
  Facts facts;
  facts.rows = {
      {"pre-training", fmt::format("{} tokens{}", parameters(tokens),
                                   o.trained.empty() ? " (20 a parameter, for want of --trained-tokens)" : "")},
      {"uptraining", fmt::format("{} of it: {} tokens, {} flops", percent(share), parameters(share * tokens),
                                 fmt::format("{:.3g}", flops.value))},
      {"time", fmt::format("{} device-hours at {} of the bf16 peak of {}", significant(device_time.value / 3600, 3),
                           percent(mfu), before.device.name)}};
  if (price > 0)
    facts.rows.push_back(
        {"cost", fmt::format("${} at ${} a device-hour", significant(price * device_time.value / 3600, 3),
                             significant(price, 3))});
  auto speed = [&](const Setup& s, const Served& v) {
    return fmt::format("{} cached a sequence, batch {}, {} a device", size(sequence_cache(s.model, s.w.context, s.d)),
                       count(double(v.batch)), speed_of(1 / v.device_seconds));
  };
  facts.rows.push_back({"served before", speed(before, was)});
  facts.rows.push_back({"served after", speed(after, is)});
  facts.rows.push_back({"pays after", saved > 0
                                          ? fmt::format("{} served tokens ({} a token cheaper)", parameters(pays_after),
                                                        percent(saved / was.device_seconds))
                                          : std::string("never: a served token gets no cheaper")});
  doc.json = {{"schema_version", 1},
              {"command", "uptrain"},
              {"model", before.model.id},
              {"hardware", before.device.id},
              {"kv_heads", heads},
              {"pretraining_tokens", tokens},
              {"uptraining_tokens", tokens * share},
              {"uptraining_flops", flops.value},
              {"device_seconds", device_time.value},
              {"dollars", price > 0 ? Json(price * device_time.value / 3600) : Json(nullptr)},
              {"served_before_device_seconds_per_token", was.device_seconds},
              {"served_after_device_seconds_per_token", is.device_seconds},
              {"pays_after_tokens", saved > 0 ? Json(pays_after) : Json(nullptr)}};
  doc.csv = {{"model", "hardware", "kv_heads", "uptraining_flops", "device_seconds", "pays_after_tokens"},
             {{before.model.id, before.device.id, std::to_string(heads), fmt::format("{:.6g}", flops.value),
               fmt::format("{:.6g}", device_time.value), saved > 0 ? fmt::format("{:.6g}", pays_after) : ""}}};
  doc.blocks = {
      Heading{fmt::format("Uptraining {} to {} KV heads on {}", before.model.name, heads, before.device.name)}, facts,
      Notes{{"the share is the GQA paper's (arXiv:2305.13245): 5 % recovers most quality; quality is not modelled",
             "model flops utilisation of 40 % is typical of large runs (from memory: 38-43 % in the Llama 3 report)"}}};
  print(doc, o.output);
  return saved > 0 ? 0 : 1;
}

}  // namespace

void add_train(CommandLine& line) {
  auto o = std::make_shared<TrainOptions>();
  line.examples = "  kvroof train llama-2-7b\n  kvroof train llama-2-70b --context 8k\n";
  add_options(line, o->model);
  line.option("--context", &o->context, "tokens of a training sequence (default 4096; k = 1024)").metavar("TOKENS");
  add_options(line, o->catalog);
  add_options(line, o->output);
  line.run = [o] { return run(*o); };
}

void add_uptrain(CommandLine& line) {
  auto o = std::make_shared<UptrainOptions>();
  line.examples =
      "  kvroof uptrain llama-2-7b --kv-heads 8 --on h100-sxm --trained-tokens 2T\n"
      "  kvroof uptrain llama-2-13b --kv-heads 1 --on mi300x --price 2.50/h\n\n"
      "Exit code 0: pays back; 1: never does; 2: bad input.";
  line.option("model", &o->setup.model.model, "a model with more KV heads than are asked for")
      .required()
      .metavar("MODEL");
  line.option("--on", &o->setup.hardware.device, "the device that trains and serves").required().metavar("HARDWARE");
  line.option("--kv-heads", &o->kv_heads, "KV heads after it (default 8)").metavar("G");
  line.option("--trained-tokens", &o->trained, "tokens of the pre-training, such as 2T (default: 20 a parameter)")
      .metavar("N");
  line.option("--share", &o->share, "of the pre-training's flops (default 5 %)").metavar("SHARE");
  line.option("--mfu", &o->mfu, "share of the bf16 peak that training reaches (default 40 %)").metavar("SHARE");
  add_price_option(line, o->setup.hardware);
  line.option("--context", &o->setup.context, "tokens of a served sequence (default 4096)").metavar("TOKENS");
  add_options(line, o->setup.layout);
  add_options(line, o->setup.cache);
  add_options(line, o->catalog);
  add_options(line, o->output);
  line.run = [o] { return run(*o); };
}

}  // namespace kvroof
