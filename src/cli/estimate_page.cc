#include "cli/estimate_page.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/describe.h"
#include "core/experts.h"
#include "core/metric.h"
#include "render/number.h"

namespace kvroof {
namespace {

std::string devices_of(const Setup& s) {
  std::string layout;
  if (s.d.tp > 1) layout += fmt::format(", tp {}", s.d.tp);
  if (s.d.pp > 1) layout += fmt::format(", pp {}", s.d.pp);
  if (s.d.dp > 1) layout += fmt::format(", dp {}", s.d.dp);
  return fmt::format("{} x {}{}", s.d.devices(), s.device.name, layout);
}

/// A figure of decoding with a draft: a member of `speculation` in JSON, a column `draft_…` in CSV.
struct DraftColumn {
  const char* key;
  double (*number)(const Speculated&, const Step&);
};

constexpr DraftColumn draft_columns[] = {
    {"draft_step_seconds", [](const Speculated& q, const Step&) { return q.draft.expected.value; }},
    {"verify_seconds", [](const Speculated& q, const Step&) { return q.verify.expected.value; }},
    {"tokens_per_cycle", [](const Speculated& q, const Step&) { return q.accepted; }},
    {"expected_seconds", [](const Speculated& q, const Step&) { return q.expected.value; }},
    {"floor_seconds", [](const Speculated& q, const Step&) { return q.floor.value; }},
    {"low_seconds", [](const Speculated& q, const Step&) { return q.low.value; }},
    {"high_seconds", [](const Speculated& q, const Step&) { return q.high.value; }},
    {"tokens_per_second", [](const Speculated& q, const Step&) { return q.tokens_per_second; }},
    {"gain", [](const Speculated& q, const Step& p) { return p.expected / q.expected; }},
};

/// What a generated token takes besides time.
struct TokenCost {
  const char* metric;
  const char* of;
  std::string (*rate)(const Device&);  ///< what it follows from; asked only where it is known
};

constexpr TokenCost token_costs[] = {
    {"cost", "a million tokens", [](const Device& d) { return money(d.price->dollars_per_hour) + "/h a device"; }},
    {"energy", "a token", [](const Device& d) { return "rated " + significant(*d.watts) + " W a device"; }},
};

bool by_batch(const Step& a, const Step& b) { return a.batch < b.batch; }

void add_cost(Json& point, const Outcome& outcome) {
  for (const TokenCost& c : token_costs)
    if (std::optional<double> value = metric(c.metric).number(outcome)) point[metric(c.metric).key] = *value;
}

std::string column_of(const DraftColumn& c) {
  std::string key = c.key;
  return key.rfind("draft_", 0) == 0 ? key : "draft_" + key;
}

}  // namespace

void EstimatePage::head() {
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
                     {"attention_dp", s.d.attention_dp},
                     {"expert_skew", s.d.expert_skew},
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
  for (const std::string& text : overrides) doc.blocks.push_back(Paragraph{"What if: " + text});
}

void EstimatePage::memory_facts() {
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
                        {"kv_bytes_shared", m.allocation.shared.value},
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
  if (m.allocation.shared.value > 0)
    facts.rows.push_back({"shared prefix", size(m.allocation.shared) + "  (held once, beside the sequences)"});
  bool unbounded = m.max_sequences > (i64(1) << 40);
  facts.rows.push_back(
      {"fit", unbounded ? m.allocation.shared.value > 0 ? "any number: all is shared" : "any number: nothing is cached"
                        : fmt::format("{} sequences, {} tokens{}", count(double(m.max_sequences)),
                                      count(double(m.max_tokens)), s.d.dp > 1 ? ", each replica" : "")});
  doc.blocks.push_back(facts);
}

Json json_of_step(const Step& p) {
  Json parts = Json::array();
  for (const StepPart& part : p.parts)
    parts.push_back({{"name", part.name()},
                     {"seconds", part.seconds.value},
                     {"memory_seconds", part.memory.value},
                     {"compute_seconds", part.compute.value},
                     {"fixed_seconds", part.fixed.value},
                     {"bytes", part.bytes.value},
                     {"flops", part.flops.value},
                     {"bound_by", part.bound()}});
  return {{"floor_seconds", p.floor.value},
          {"floor_claimed", p.floor_claimed},
          {"expected_seconds", p.expected.value},
          {"low_seconds", p.low.value},
          {"high_seconds", p.high.value},
          {"basis", name_of(p.basis)},
          {"bound_by", p.bound_by},
          {"parts", parts}};
}

void EstimatePage::speed() {
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
                     "kv_room_bytes",
                     "dollars_per_million_tokens",
                     "joules_per_token"};
  doc.json["points"] = Json::array();
  if (points.empty()) return;
  doc.blocks.push_back(
      Heading{std::string("Speed of one decode step") + (s.d.dp > 1 ? ", a batch on each replica" : "")});
  for (const Step& p : points) {
    table.rows.push_back(
        {count(double(p.batch)), p.floor_claimed ? duration(p.floor) : "-", duration(p.expected),
         fmt::format("{}-{} ms", significant(p.low.value * 1e3, 3), significant(p.high.value * 1e3, 3)),
         speed_of(p.tokens_per_second_per_user), speed_of(p.tokens_per_second),
         std::string(p.bound_by.substr(0, p.bound_by.find(' ')))});
    Json point = {{"batch", p.batch},
                  {"step", json_of_step(p)},
                  {"tokens_per_second", p.tokens_per_second},
                  {"tokens_per_second_per_user", p.tokens_per_second_per_user}};
    add_cost(point, {s, memory, &p});
    doc.json["points"].push_back(point);
    doc.csv.rows.push_back(
        {s.model.id, s.device.id, s.engine.id, std::to_string(s.d.tp), std::to_string(s.d.pp), std::to_string(s.d.dp),
         std::to_string(s.w.context), std::to_string(p.batch), fmt::format("{:.9g}", p.floor.value),
         fmt::format("{:.9g}", p.expected.value), fmt::format("{:.9g}", p.low.value),
         fmt::format("{:.9g}", p.high.value), fmt::format("{:.9g}", p.tokens_per_second_per_user),
         fmt::format("{:.9g}", p.tokens_per_second), std::string(p.bound_by), std::string(name_of(p.basis)),
         std::to_string(memory.max_sequences), fmt::format("{:.0f}", memory.kv_room.value)});
    for (const TokenCost& c : token_costs) {
      std::optional<double> value = metric(c.metric).number({s, memory, &p});
      doc.csv.rows.back().push_back(value ? fmt::format("{:.9g}", *value) : "");
    }
  }
  doc.blocks.push_back(table);
  cost();
}

/// Of the smallest and the largest batch, where the price and the power are known.
void EstimatePage::cost() {
  auto [least, most] = std::minmax_element(points.begin(), points.end(), by_batch);
  Facts facts;
  for (const TokenCost& c : token_costs) {
    auto at = [&](const Step& p) { return metric(c.metric).number({s, memory, &p}); };
    if (!at(*least)) continue;
    auto shown = [&](const Step& p) { return measured(*at(p), metric(c.metric).measure); };
    std::string text = fmt::format("{} {} at batch {}", shown(*least), c.of, count(double(least->batch)));
    if (least != most) text += fmt::format(", {} at {}", shown(*most), count(double(most->batch)));
    facts.rows.push_back({c.metric, text + "; " + c.rate(s.device)});
  }
  if (!facts.rows.empty()) doc.blocks.push_back(facts);
}

void EstimatePage::parts() {
  if (points.empty()) return;
  doc.blocks.push_back(Heading{"Where the expected step goes"});
  Table table{{"<part"}, {}};
  auto [least, most] = std::minmax_element(points.begin(), points.end(), by_batch);
  std::vector<const Step*> shown = {&*least};  // the smallest and the largest batch say enough
  if (least != most) shown.push_back(&*most);
  for (const Step* p : shown) {
    table.columns.push_back("batch " + count(double(p->batch)));
    table.columns.emplace_back("share");
  }
  table.columns.emplace_back("moved");
  for (std::size_t i = 0; i < points[0].parts.size(); ++i) {
    std::vector<std::string> row = {std::string(points[0].parts[i].name())};
    for (const Step* p : shown) {
      row.push_back(duration(p->parts[i].seconds));
      row.push_back(percent(p->parts[i].seconds / p->expected));
    }
    Bytes moved = shown.back()->parts[i].bytes;
    row.push_back(moved.value > 0 ? size(moved) : "-");
    table.shares.push_back(shown.back()->parts[i].seconds / shown.back()->expected);
    table.rows.push_back(row);
  }
  doc.blocks.push_back(table);
}

/// What sets the engine's KV format, with a space before it; empty where nothing need be said, none where it has no
/// such.
std::optional<std::string> kv_flag_of(const Setup& s) {
  const Format &key = s.d.cache.key, &value = s.d.cache.value;
  bool wide = key == value && (key.name == "bf16" || key.name == "fp16");
  if (wide || s.engine.command.empty()) return "";
  if (s.engine.layout == Layout::cells) return fmt::format(" -ctk {} -ctv {}", key.name, value.name);
  bool eight = (key.name == "fp8" || key.name == "fp8_ds_mla") && key == value;
  if (!eight) return std::nullopt;
  return s.engine.kv_flag.empty() ? "" : " " + s.engine.kv_flag;
}

/// What a draft model makes of the same batches.
void EstimatePage::speculation() {
  if (!s.draft || points.empty()) return;
  doc.blocks.push_back(Heading{fmt::format("With {} drafting {} tokens, {} of them accepted", s.draft->model.id,
                                           s.draft->length, percent(s.draft->acceptance))});
  Table table{{"batch", "draft step", "verify", "tok/cycle", "a token", "80 % range", "gain"}, {}};
  doc.json["speculation"] = Json::array();
  for (const DraftColumn& c : draft_columns) doc.csv.columns.push_back(column_of(c));
  for (std::size_t i = 0; i < points.size(); ++i) {
    const Step& p = points[i];
    Speculated q = s.speculated(p.batch);
    Json entry = {{"batch", p.batch}};
    for (const DraftColumn& c : draft_columns) {
      entry[c.key] = c.number(q, p);
      doc.csv.rows[i].push_back(fmt::format("{:.9g}", c.number(q, p)));
    }
    doc.json["speculation"].push_back(entry);
    table.rows.push_back(
        {count(double(p.batch)), duration(q.draft.expected), duration(q.verify.expected), significant(q.accepted, 3),
         duration(q.expected),
         fmt::format("{}-{} ms", significant(q.low.value * 1e3, 3), significant(q.high.value * 1e3, 3)),
         ratio(p.expected / q.expected)});
  }
  doc.blocks.push_back(table);
}

/// What a sweep under the load has columns for: the same figures in every row, empty where the load can't be served.
void EstimatePage::load_columns(const Serving& r) {
  Outcome outcome{s, memory, nullptr, r.stable ? &r : nullptr, true};
  for (const Metric& m : metrics()) {
    bool of_load = m.needs_load || m.name == "tpot" || m.name == "throughput" || m.name == "cost" || m.name == "energy";
    if (!of_load || doc.csv.rows.empty()) continue;
    std::string key(m.key);
    bool taken = std::find(doc.csv.columns.begin(), doc.csv.columns.end(), key) != doc.csv.columns.end();
    doc.csv.columns.push_back(taken ? "load_" + key : key);
    std::optional<double> value = m.number(outcome);
    for (std::vector<std::string>& row : doc.csv.rows) row.push_back(value ? fmt::format("{:.9g}", *value) : "");
  }
}

void EstimatePage::serving(const Load& load) {
  i64 capacity = s.capacity(load);
  Serving r = s.serve(load);
  load_columns(r);
  doc.json["serving"] = {{"input_tokens", load.input},
                         {"output_tokens", load.output},
                         {"shared_prefix_tokens", load.shared_prefix},
                         {"cached_tokens", load.cached()},
                         {"stable", r.stable},
                         {"capacity_sequences", capacity},
                         {"concurrency", r.concurrency},
                         {"running", r.running},
                         {"decoding", r.decoding},
                         {"prefill_seconds", r.prefill.value},
                         {"first_prefill_seconds", r.first_prefill.value},
                         {"ttft_seconds", r.ttft.value},
                         {"ttft_low_seconds", r.ttft_low.value},
                         {"ttft_high_seconds", r.ttft_high.value},
                         {"tpot_seconds", r.tpot.value},
                         {"tpot_low_seconds", r.tpot_low.value},
                         {"tpot_high_seconds", r.tpot_high.value},
                         {"requests_per_second", r.requests_per_second},
                         {"tokens_per_second", r.tokens_per_second},
                         {"basis", name_of(r.basis)}};
  const Outcome outcome{s, memory, nullptr, r.stable ? &r : nullptr, true};
  add_cost(doc.json["serving"], outcome);
  doc.blocks.push_back(
      Heading{fmt::format("Serving {} tokens in, {} out", count(double(load.input)), count(double(load.output)))});
  unstable = !r.stable;
  if (capacity == 0) {
    doc.blocks.push_back(
        Paragraph{fmt::format("Not one request of {} tokens fits.", count(double(load.input + load.output)))});
    return;
  }
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
      {"TTFT", with_range(r.ttft, r.ttft_low, r.ttft_high)},
      {"prefill alone",
       duration(r.prefill) +
           (load.shared_prefix > 0 ? fmt::format("; of the first prompt {}", duration(r.first_prefill)) : "")},
      {"TPOT", with_range(r.tpot, r.tpot_low, r.tpot_high)},
      {"throughput", fmt::format("{} requests/s, {} generated", significant(r.requests_per_second, 3),
                                 speed_of(r.tokens_per_second))}};
  for (const TokenCost& c : token_costs)
    if (std::optional<double> value = metric(c.metric).number(outcome))
      facts.rows.push_back(
          {c.metric, fmt::format("{} {} generated", measured(*value, metric(c.metric).measure), c.of)});
  doc.blocks.push_back(facts);
}

void EstimatePage::does_not_fit() {
  doc.blocks.push_back(Heading{fmt::format("Does not fit: {} short on each device", size(memory.shortfall))});
  std::vector<std::string> flags = fitting_flags(s);
  doc.json["what_would_fit"] = flags;
  if (points.empty())
    doc.csv = {{"model", "hardware", "fits", "shortfall_bytes"},
               {{s.model.id, s.device.id, "false", fmt::format("{:.0f}", memory.shortfall.value)}}};
  Notes lines;
  for (const std::string& f : flags) lines.lines.push_back(f);
  doc.blocks.push_back(Paragraph{
      flags.empty() ? "Nothing tried would make it fit: fp8 or 4-bit weights, fp8 KV, a shorter context, more devices "
                      "of one scale-up domain."
                    : fmt::format("{} would fit with any of:",
                                  s.w.batch == 1 ? "One sequence" : count(double(s.w.batch)) + " sequences")});
  doc.blocks.push_back(lines);
}

void EstimatePage::notes() {
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
  if (s.draft)
    lines.lines.push_back(
        "the table of one step and any serving load are without the draft; memory holds the weights and caches of "
        "both");
  if (s.anchor != 1)
    lines.lines.push_back(
        fmt::format("anchored on your measurement: {} of what was expected there; its context and "
                    "layout are taken to be those of this command",
                    ratio(s.anchor)));
  if (s.d.eviction.kind != EvictionKind::none)
    lines.lines.push_back(
        "eviction changes what the model sees; its quality is not modelled; no engine here evicts: these are the bytes "
        "if it did");
  if (s.model.max_context && s.w.context > *s.model.max_context)
    lines.lines.push_back(fmt::format("{} tokens are more than the {} that {} was made for", count(double(s.w.context)),
                                      count(double(*s.model.max_context)), s.model.id));
  if (s.w.shared_prefix > 0)
    lines.lines.push_back(s.engine.layout == Layout::cells
                              ? s.engine.id + " stores and reads the shared prefix for each sequence; only the floor " +
                                    "counts it once"
                              : "the shared prefix is held once but read for each sequence; the floor counts it once");
  if (s.d.expert_skew > 0 && experts_of(s.model)) lines.lines.push_back(expert_note());
  if (s.device.confidence >= Confidence::C)
    lines.lines.push_back(s.device.id + ": the entry's figures are recalled or derived, not looked up");
  if (!s.device.notes.empty())
    lines.lines.push_back(
        fmt::format("notes on the device's figures ({}): kvroof hardware {}", s.device.notes.size(), s.device.id));
  for (const std::string& note : s.model.notes) lines.lines.push_back(s.model.id + ": " + note);
  std::optional<std::string> kv_flag = kv_flag_of(s);
  if (!kv_flag)
    lines.lines.push_back(fmt::format("{} isn't known to keep a cache in {}: the bytes are the format's all the same",
                                      s.engine.id, cache_format_of(s.d.cache)));
  if (!s.engine.command.empty() && memory.fits && !reshaped && kv_flag) {
    std::string command = s.engine.command + *kv_flag;
    auto fill = [&](const std::string& key, const std::string& value) {
      for (std::size_t at; (at = command.find(key)) != std::string::npos;) command.replace(at, key.size(), value);
    };
    fill("{model}", s.model.aliases.empty() ? s.model.id : s.model.aliases.front());
    fill("{tp}", std::to_string(s.d.tp));
    fill("{pp}", std::to_string(s.d.pp));
    fill("{context}", std::to_string(s.w.context));
    if (s.d.memory_fraction && !s.engine.fraction_flag.empty())
      command += fmt::format(" {} {}", s.engine.fraction_flag, significant(*s.d.memory_fraction, 3));
    lines.lines.push_back(
        fmt::format("to check, run this{}{}; its log line: \"{}\", predicted {} tokens",
                    s.d.weights ? fmt::format(" with a checkpoint in {}", s.d.weights->name) : "",
                    s.draft ? fmt::format(" and the engine's option for the draft {}", s.draft->model.id) : "",
                    s.engine.log_line, count(double(memory.max_tokens))));
    lines.lines.push_back("$ " + command);
  }
  doc.json["notes"] = lines.lines;
  doc.blocks.push_back(Heading{"Notes"});
  doc.blocks.push_back(lines);
}

/// Tokens of the largest batch that pass a layer together.
double EstimatePage::tokens_together(i64 batch) const { return sequences_at_once(s.d, s.engine, batch); }

std::string EstimatePage::expert_note() const {
  const MoeFeedForward& moe = *experts_of(s.model);
  double tokens = tokens_together(points.empty() ? s.w.batch : points.back().batch);
  return fmt::format(
      "experts with skew {}: {} tokens touch {} of {} in a layer, evenly they would touch {}; how "
      "unevenly ranks then compute is not modelled",
      significant(s.d.expert_skew, 3), count(tokens), significant(distinct_experts(moe, tokens, s.d.expert_skew), 3),
      moe.experts, significant(distinct_experts(moe, tokens), 3));
}

void EstimatePage::explain() {
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
    if (experts_of(s.model))
      add(fmt::format("Experts at batch {}", count(double(p.batch))),
          p.batch == points[0].batch ? "experts" : "experts_last",
          explain_experts(s.model, s.d, tokens_together(p.batch)));
  }
}

}  // namespace kvroof
