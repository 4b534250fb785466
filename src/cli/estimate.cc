// `kvroof estimate MODEL HARDWARE`: what fits, how fast it decodes, what limits it and what would lift that.
// Without --batch it answers for one sequence and for as many as fit.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands.h"
#include "cli/describe.h"
#include "cli/options.h"
#include "core/parameters.h"
#include "core/serving.h"
#include "core/units.h"
#include "render/number.h"

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

/// All an estimate rests on.
struct Setup {
  Model model;
  Device device;
  Deployment d;
  Engine engine;
  RangeRule range;
  Workload w;
  std::vector<std::string> overrides = {};
};

struct WhatIf {
  std::string flags;
  Setup setup;
};

Memory memory_of(const Setup& s) { return fit(s.model, s.device, s.d, s.w, s.engine); }

bool possible(const Setup& s) { return problems(s.model, s.device, s.d, s.w, s.engine).empty(); }

/// Formats to try, those that keep most quality first.
std::vector<WhatIf> what_ifs(const Setup& s) {
  std::vector<WhatIf> found;
  auto add = [&](std::string flags, auto change) {
    Setup other = s;
    change(other);
    if (possible(other)) found.push_back({std::move(flags), std::move(other)});
  };
  auto weights = [](const char* name) { return [name](Setup& o) { o.d.weights = format(name); }; };
  auto cache = [](Setup& o) { o.d.cache.key = o.d.cache.value = format("fp8"); };
  add("--kv-dtype fp8", cache);
  add("--weights fp8", weights("fp8"));
  add("--weights fp8 --kv-dtype fp8", [&](Setup& o) { o.d.weights = format("fp8"), cache(o); });
  add("--weights awq", weights("awq"));
  add("--weights awq --kv-dtype fp8", [&](Setup& o) { o.d.weights = format("awq"), cache(o); });
  return found;
}

/// The longest context at which the batch still fits, in steps of 1,024 tokens; 0 when none does.
i64 longest_context(Setup s) {
  i64 low = 0, high = s.w.context / 1024;
  while (low < high) {
    i64 middle = (low + high + 1) / 2;
    s.w.context = middle * 1024;
    if (memory_of(s).fits)
      low = middle;
    else
      high = middle - 1;
  }
  return low * 1024;
}

/// The fewest devices, as tp x pp, on which the batch fits; tp stays within the link's domain and divides the heads.
std::optional<Setup> more_devices(const Setup& s) {
  std::vector<std::pair<i64, i64>> layouts;
  i64 domain = s.device.link ? std::min<i64>(s.device.link->domain, 128) : s.device.host_link ? 8 : 1;
  i64 layers = s.model.layer_count();
  for (i64 tp = 1; tp <= domain; ++tp)
    for (i64 pp = 1; pp <= layers; pp = pp < layers && 2 * pp > layers ? layers : 2 * pp) {
      if (tp * pp > s.d.tp * s.d.pp) layouts.emplace_back(tp, pp);
      if (pp == layers) break;
    }
  std::sort(layouts.begin(), layouts.end(), [](auto a, auto b) {
    return std::pair(a.first * a.second, -a.first) < std::pair(b.first * b.second, -b.first);
  });
  for (auto [tp, pp] : layouts) {
    Setup other = s;
    other.d.tp = tp;
    other.d.pp = pp;
    if (possible(other) && memory_of(other).fits) return other;
  }
  return std::nullopt;
}

std::vector<std::string> fitting_flags(const Setup& s) {
  std::vector<std::string> flags;
  for (const WhatIf& w : what_ifs(s))
    if (flags.size() < 3 && memory_of(w.setup).fits) flags.push_back(w.flags);
  i64 context = longest_context(s);
  if (context > 0 && context < s.w.context) flags.push_back(fmt::format("--context {}k", context / 1024));
  if (std::optional<Setup> more = more_devices(s))
    flags.push_back(fmt::format("--tp {}{}  ({} devices)", more->d.tp,
                                more->d.pp > 1 ? fmt::format(" --pp {}", more->d.pp) : "",
                                more->d.tp * more->d.pp * s.d.dp));
  return flags;
}

std::string devices_of(const Setup& s) {
  std::string layout;
  if (s.d.tp > 1) layout += fmt::format(", tp {}", s.d.tp);
  if (s.d.pp > 1) layout += fmt::format(", pp {}", s.d.pp);
  if (s.d.dp > 1) layout += fmt::format(", dp {}", s.d.dp);
  return fmt::format("{} x {}{}", s.d.devices(), s.device.name, layout);
}

/// The page of one estimate.
struct Page {
  const Setup& s;
  Memory memory;
  std::vector<Step> points = {};
  Document doc = {};

  void head();
  void memory_facts();
  void speed();
  void parts();
  void serving(const Load& load);
  void does_not_fit();
  void notes();
  void explain();
};

void Page::head() {
  Json& j = doc.json;
  j["schema_version"] = 1;
  j["command"] = "estimate";
  j["model"] = s.model.id;
  j["hardware"] = s.device.id;
  j["engine"] = s.engine.id;
  j["deployment"] = {{"tp", s.d.tp},
                     {"pp", s.d.pp},
                     {"dp", s.d.dp},
                     {"ep", s.d.ep},
                     {"devices", s.d.devices()},
                     {"weights", weight_format_of(s.model, s.d)},
                     {"kv_dtype", cache_format_of(s.d.cache)}};
  j["workload"] = {{"context", s.w.context}};
  j["fits"] = memory.fits;
  doc.blocks.push_back(Heading{fmt::format("{} on {}", s.model.name, devices_of(s))});
  doc.blocks.push_back(
      Paragraph{fmt::format("{} tokens of context, {} weights, {} KV cache, engine {}", count(double(s.w.context)),
                            weight_format_of(s.model, s.d), cache_format_of(s.d.cache),
                            s.engine.id == "ideal" ? "none (ideal)" : s.engine.id)});
  for (const std::string& text : s.overrides) doc.blocks.push_back(Paragraph{"What if: " + text});
}

void Page::memory_facts() {
  const Memory& m = memory;
  doc.json["memory"] = {{"per", "rank, the tightest"},
                        {"stage", m.stage},
                        {"usable_bytes", m.usable.value},
                        {"reserved_bytes", m.reserved.value},
                        {"weights_bytes", m.weights.value},
                        {"runtime_bytes", m.runtime.value},
                        {"activation_bytes", m.activation.value},
                        {"kv_room_bytes", m.kv_room.value},
                        {"kv_bytes_per_sequence", m.kv_per_sequence.value},
                        {"kv_ideal_bytes_per_sequence", m.allocation.ideal_per_sequence.value},
                        {"max_sequences", m.max_sequences},
                        {"max_tokens", m.max_tokens},
                        {"shortfall_bytes", m.shortfall.value}};
  doc.blocks.push_back(Heading{"Memory of one device" + std::string(s.d.tp * s.d.pp > 1 ? ", the tightest rank" : "")});
  Facts facts;
  facts.rows.push_back({"usable", size(m.usable)});
  if (m.reserved.value > 0)
    facts.rows.push_back(
        {"kept back", fmt::format("{}  ({})", size(m.reserved),
                                  s.engine.fraction_flag.empty() ? "memory fraction" : s.engine.fraction_flag)});
  facts.rows.push_back({"weights", size(m.weights)});
  if (m.runtime.value > 0) facts.rows.push_back({"runtime", size(m.runtime)});
  if (m.activation.value > 0) facts.rows.push_back({"activations", size(m.activation)});
  facts.rows.push_back({"room for KV", size(m.kv_room)});
  Bytes ideal = m.allocation.ideal_per_sequence;
  std::string beside = ideal == m.kv_per_sequence || ideal.value == 0 ? "" : fmt::format("  (ideal {})", size(ideal));
  facts.rows.push_back({"one sequence", size(m.kv_per_sequence) + beside});
  bool unbounded = m.max_sequences > (i64(1) << 40);
  facts.rows.push_back({"fit", unbounded ? "any number: nothing is cached"
                                         : fmt::format("{} sequences, {} tokens", count(double(m.max_sequences)),
                                                       count(double(m.max_tokens)))});
  doc.blocks.push_back(facts);
}

Json json_of_step(const Step& p) {
  Json parts = Json::array();
  for (const StepPart& part : p.parts)
    parts.push_back({{"name", part.name},
                     {"seconds", part.seconds.value},
                     {"memory_seconds", part.memory.value},
                     {"compute_seconds", part.compute.value},
                     {"fixed_seconds", part.fixed.value},
                     {"bytes", part.bytes.value},
                     {"flops", part.flops.value},
                     {"bound_by", part.bound}});
  return {{"floor_seconds", p.floor.value},
          {"floor_claimed", p.floor_claimed},
          {"expected_seconds", p.expected.value},
          {"low_seconds", p.low.value},
          {"high_seconds", p.high.value},
          {"basis", name_of(p.basis)},
          {"bound_by", p.bound_by},
          {"parts", parts}};
}

void Page::speed() {
  doc.blocks.push_back(Heading{"Speed of one decode step"});
  Table table{{"batch", "floor", "expected", "80 % range", "per user", "in total", "<bound by"}, {}};
  doc.csv.columns = {"model",
                     "hardware",
                     "engine",
                     "tp",
                     "pp",
                     "dp",
                     "context",
                     "batch",
                     "floor_seconds",
                     "expected_seconds",
                     "low_seconds",
                     "high_seconds",
                     "tokens_per_second_per_user",
                     "tokens_per_second",
                     "bound_by",
                     "basis",
                     "max_sequences",
                     "kv_room_bytes"};
  doc.json["points"] = Json::array();
  for (const Step& p : points) {
    table.rows.push_back(
        {count(double(p.batch)), p.floor_claimed ? duration(p.floor) : "-", duration(p.expected),
         fmt::format("{}-{} ms", significant(p.low.value * 1e3, 3), significant(p.high.value * 1e3, 3)),
         speed_of(p.tokens_per_second_per_user), speed_of(p.tokens_per_second),
         std::string(p.bound_by.substr(0, p.bound_by.find(' ')))});
    doc.json["points"].push_back({{"batch", p.batch},
                                  {"step", json_of_step(p)},
                                  {"tokens_per_second", p.tokens_per_second},
                                  {"tokens_per_second_per_user", p.tokens_per_second_per_user}});
    doc.csv.rows.push_back(
        {s.model.id, s.device.id, s.engine.id, std::to_string(s.d.tp), std::to_string(s.d.pp), std::to_string(s.d.dp),
         std::to_string(s.w.context), std::to_string(p.batch), fmt::format("{:.9g}", p.floor.value),
         fmt::format("{:.9g}", p.expected.value), fmt::format("{:.9g}", p.low.value),
         fmt::format("{:.9g}", p.high.value), fmt::format("{:.9g}", p.tokens_per_second_per_user),
         fmt::format("{:.9g}", p.tokens_per_second), std::string(p.bound_by), std::string(name_of(p.basis)),
         std::to_string(memory.max_sequences), fmt::format("{:.0f}", memory.kv_room.value)});
  }
  doc.blocks.push_back(table);
}

void Page::parts() {
  if (points.empty()) return;
  doc.blocks.push_back(Heading{"Where the expected step goes"});
  Table table{{"<part"}, {}};
  std::vector<const Step*> shown = {&points.front()};  // the smallest and the largest batch say enough
  if (points.size() > 1) shown.push_back(&points.back());
  for (const Step* p : shown) {
    table.columns.push_back("batch " + count(double(p->batch)));
    table.columns.emplace_back("share");
  }
  table.columns.emplace_back("moved");
  for (std::size_t i = 0; i < points[0].parts.size(); ++i) {
    std::vector<std::string> row = {std::string(points[0].parts[i].name)};
    for (const Step* p : shown) {
      row.push_back(duration(p->parts[i].seconds));
      row.push_back(percent(p->parts[i].seconds / p->expected));
    }
    Bytes moved = shown.back()->parts[i].bytes;
    row.push_back(moved.value > 0 ? size(moved) : "-");
    table.rows.push_back(row);
  }
  doc.blocks.push_back(table);
}

/// Requests a replica admits: sequences of the whole prompt and answer that fit.
void Page::serving(const Load& load) {
  Setup whole = s;
  whole.w = {load.input + load.output, 1, 0};
  i64 capacity = memory_of(whole).max_sequences;
  Serving r = serve(s.model, s.device, s.d, s.engine, load, capacity, s.range);
  doc.json["serving"] = {{"input_tokens", load.input},
                         {"output_tokens", load.output},
                         {"stable", r.stable},
                         {"capacity_sequences", capacity},
                         {"concurrency", r.concurrency},
                         {"running", r.running},
                         {"decoding", r.decoding},
                         {"prefill_seconds", r.prefill.value},
                         {"ttft_seconds", r.ttft.value},
                         {"tpot_seconds", r.tpot.value},
                         {"tpot_low_seconds", r.tpot_low.value},
                         {"tpot_high_seconds", r.tpot_high.value},
                         {"requests_per_second", r.requests_per_second},
                         {"tokens_per_second", r.tokens_per_second},
                         {"basis", name_of(r.basis)}};
  doc.blocks.push_back(
      Heading{fmt::format("Serving {} tokens in, {} out", count(double(load.input)), count(double(load.output)))});
  if (!r.stable) {
    doc.blocks.push_back(Paragraph{
        fmt::format("Does not keep up: {} requests/s arrive, {} requests/s is the most that {} concurrent ones reach.",
                    significant(load.rate), significant(r.requests_per_second, 3), count(r.running))});
    return;
  }
  Facts facts;
  std::string queued = r.concurrency > r.running ? fmt::format(", {} queued", count(r.concurrency - r.running)) : "";
  facts.rows = {
      {"concurrency", fmt::format("{} requests, {} of them decoding{}", significant(r.concurrency, 3),
                                  significant(r.decoding, 3), queued)},
      {"TTFT", fmt::format("{}  (prefill alone {})", duration(r.ttft), duration(r.prefill))},
      {"TPOT", fmt::format("{}  (80 % range {} to {})", duration(r.tpot), duration(r.tpot_low), duration(r.tpot_high))},
      {"throughput", fmt::format("{} requests/s, {} generated", significant(r.requests_per_second, 3),
                                 speed_of(r.tokens_per_second))}};
  doc.blocks.push_back(facts);
}

void Page::does_not_fit() {
  doc.blocks.push_back(Heading{fmt::format("Does not fit: {} short on each device", size(memory.shortfall))});
  std::vector<std::string> flags = fitting_flags(s);
  doc.json["what_would_fit"] = flags;
  Notes lines;
  for (const std::string& f : flags) lines.lines.push_back(f);
  doc.blocks.push_back(Paragraph{
      flags.empty() ? "Nothing tried would make it fit: fp8 or 4-bit weights, fp8 KV, a shorter context, more devices "
                      "of one scale-up domain."
                    : fmt::format("{} would fit with any of:",
                                  s.w.batch == 1 ? "One sequence" : count(double(s.w.batch)) + " sequences")});
  doc.blocks.push_back(lines);
}

void Page::notes() {
  Notes lines;
  if (!points.empty()) {
    const Step& p = points[0];
    lines.lines.push_back(fmt::format("basis of the expected time: {}{}{}", name_of(p.basis),
                                      s.device.achievable.source.empty() ? "" : " - ", s.device.achievable.source));
    for (const Step& q : points)
      if (!q.floor_claimed) {
        lines.lines.push_back("all that a step moves fits the last-level cache, so no floor is claimed");
        break;
      }
  }
  if (s.d.eviction.kind != EvictionKind::none)
    lines.lines.push_back("eviction changes what the model sees; its quality is not modelled");
  if (s.device.confidence >= Confidence::C)
    lines.lines.push_back(s.device.id + ": the entry's figures are recalled or derived, not looked up");
  if (!s.device.notes.empty())
    lines.lines.push_back(
        fmt::format("{} notes on the device's figures: kvroof hardware {}", s.device.notes.size(), s.device.id));
  for (const std::string& note : s.model.notes) lines.lines.push_back(s.model.id + ": " + note);
  if (!s.engine.command.empty() && memory.fits) {
    std::string command = s.engine.command;
    auto fill = [&](const std::string& key, const std::string& value) {
      for (std::size_t at; (at = command.find(key)) != std::string::npos;) command.replace(at, key.size(), value);
    };
    fill("{model}", s.model.aliases.empty() ? s.model.id : s.model.aliases.front());
    fill("{tp}", std::to_string(s.d.tp));
    fill("{pp}", std::to_string(s.d.pp));
    fill("{context}", std::to_string(s.w.context));
    lines.lines.push_back("to check: " + command);
    lines.lines.push_back(
        fmt::format("its log line: \"{}\"; predicted {} tokens", s.engine.log_line, count(double(memory.max_tokens))));
  }
  doc.json["notes"] = lines.lines;
  doc.blocks.push_back(Heading{"Notes"});
  doc.blocks.push_back(lines);
}

void Page::explain() {
  auto add = [&](const std::string& title, const char* key, const Node& node) {
    doc.blocks.push_back(Heading{title});
    doc.blocks.push_back(Tree{node});
    doc.json["explain"][key] = json_of(node);
  };
  add("Memory, explained", "memory", explain_memory(s.model, s.device, memory));
  add("Cache of one sequence, ideal and unsharded", "cache", explain_cache(s.model, s.d, s.w.context));
  for (const Step& p : points) {
    add(fmt::format("Step at batch {}, explained", count(double(p.batch))),
        p.batch == points[0].batch ? "step" : "step_last", explain_step(p));
    add(fmt::format("Floor at batch {}", count(double(p.batch))), p.batch == points[0].batch ? "floor" : "floor_last",
        explain_floor(p));
  }
}

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
  throw_if_any(problems(load));
  return load;
}

int run(const EstimateOptions& o) {
  Catalog catalog = catalog_of(o.catalog);
  Setup s{model_of(o.model, catalog), device_of(o.hardware, catalog), {}, {}, {}, {}};
  s.engine = engine_of(o.layout, s.device, catalog);
  s.overrides = o.hardware.overrides;
  s.range = catalog.range(s.device.achievable.basis);
  s.d = deployment_of(o.cache, o.layout, s.model, s.engine);
  if (!o.model.weights.empty()) s.d.weights = format_of_option("--weights", o.model.weights, format("bf16"));
  std::optional<Load> load = load_of(o);
  s.w.context = count_of("--context", o.context, load ? load->input + load->output : 4096);
  s.w.shared_prefix = o.cache.shared_prefix.empty() ? 0 : count_of("--shared-prefix", o.cache.shared_prefix, 1);
  std::vector<i64> batches = counts_of("--batch", o.batch, {});
  s.w.batch = batches.empty() ? 1 : *std::max_element(batches.begin(), batches.end());
  throw_if_any(problems(s.model, s.device, s.d, s.w, s.engine));

  Page page{s, memory_of(s)};
  bool asked = !batches.empty();
  if (!asked) {
    batches = {1};
    i64 most = std::min<i64>(page.memory.max_sequences, 1 << 20);
    if (most > 1) batches.push_back(most);
  }
  page.head();
  page.memory_facts();
  if (page.memory.fits) {
    for (i64 batch : batches) {
      Workload w = s.w;
      w.batch = batch;
      page.points.push_back(decode_step(s.model, s.device, s.d, w, s.engine, s.range));
    }
    page.speed();
    page.parts();
    if (load) page.serving(*load);
  } else {
    page.doc.json["points"] = Json::array();
    page.doc.csv = {{"model", "hardware", "fits", "shortfall_bytes"},
                    {{s.model.id, s.device.id, "false", fmt::format("{:.0f}", page.memory.shortfall.value)}}};
    page.does_not_fit();
  }
  if (o.explain) page.explain();
  page.notes();
  print(page.doc, o.output);
  return page.memory.fits ? 0 : 1;
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
           "Exit code 0: fits; 1: does not fit; 2: bad input.");
  add_options(app, o->model);
  add_options(app, o->hardware);
  app.add_option("--context", o->context, "cached tokens of one sequence (default 4096; k = 1024)")
      ->option_text("TOKENS");
  app.add_option("--batch", o->batch, "sequences decoded together, or a list (default: 1 and as many as fit)")
      ->option_text("N[,...]");
  app.add_option("--input", o->input, "serving: prompt tokens of a request")->option_text("TOKENS");
  app.add_option("--output", o->generated, "serving: generated tokens of a request")->option_text("TOKENS");
  app.add_option("--concurrency", o->concurrency, "serving: requests in the system at all times")->option_text("N");
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
