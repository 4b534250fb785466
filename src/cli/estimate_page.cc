#include "cli/estimate_page.h"

#include <fmt/format.h>

#include "cli/describe.h"
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
                     "kv_room_bytes"};
  doc.json["points"] = Json::array();
  if (points.empty()) return;
  doc.blocks.push_back(Heading{"Speed of one decode step"});
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

void EstimatePage::parts() {
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
    std::vector<std::string> row = {std::string(points[0].parts[i].name())};
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

/// What a draft model makes of the same batches.
void EstimatePage::speculation() {
  if (!s.draft || points.empty()) return;
  doc.blocks.push_back(Heading{fmt::format("With {} drafting {} tokens, {} of them accepted", s.draft->model.id,
                                           s.draft->length, percent(s.draft->acceptance))});
  Table table{{"batch", "draft step", "verify", "tok/cycle", "a token", "80 % range", "gain"}, {}};
  doc.json["speculation"] = Json::array();
  for (const Step& p : points) {
    Speculated q = s.speculated(p.batch);
    table.rows.push_back(
        {count(double(p.batch)), duration(q.draft.expected), duration(q.verify.expected), significant(q.accepted, 3),
         duration(q.expected),
         fmt::format("{}-{} ms", significant(q.low.value * 1e3, 3), significant(q.high.value * 1e3, 3)),
         ratio(p.expected / q.expected)});
    doc.json["speculation"].push_back({{"batch", p.batch},
                                       {"draft_step_seconds", q.draft.expected.value},
                                       {"verify_seconds", q.verify.expected.value},
                                       {"tokens_per_cycle", q.accepted},
                                       {"expected_seconds", q.expected.value},
                                       {"floor_seconds", q.floor.value},
                                       {"low_seconds", q.low.value},
                                       {"high_seconds", q.high.value},
                                       {"tokens_per_second", q.tokens_per_second},
                                       {"gain", p.expected / q.expected}});
  }
  doc.blocks.push_back(table);
}

void EstimatePage::serving(const Load& load) {
  i64 capacity = s.capacity(load);
  Serving r = s.serve(load);
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
      {"TTFT", fmt::format("{}  (prefill alone {})", duration(r.ttft), duration(r.prefill))},
      {"TPOT", fmt::format("{}  (80 % range {} to {})", duration(r.tpot), duration(r.tpot_low), duration(r.tpot_high))},
      {"throughput", fmt::format("{} requests/s, {} generated", significant(r.requests_per_second, 3),
                                 speed_of(r.tokens_per_second))}};
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
  if (s.w.shared_prefix > 0 && s.engine.layout != Layout::exact)
    lines.lines.push_back("a shared prefix lowers the floor only: " + s.engine.id +
                          " is taken to store and read it for each sequence");
  if (s.device.confidence >= Confidence::C)
    lines.lines.push_back(s.device.id + ": the entry's figures are recalled or derived, not looked up");
  if (!s.device.notes.empty())
    lines.lines.push_back(
        fmt::format("notes on the device's figures ({}): kvroof hardware {}", s.device.notes.size(), s.device.id));
  for (const std::string& note : s.model.notes) lines.lines.push_back(s.model.id + ": " + note);
  if (!s.engine.command.empty() && memory.fits && !reshaped) {
    std::string command = s.engine.command;
    auto fill = [&](const std::string& key, const std::string& value) {
      for (std::size_t at; (at = command.find(key)) != std::string::npos;) command.replace(at, key.size(), value);
    };
    fill("{model}", s.model.aliases.empty() ? s.model.id : s.model.aliases.front());
    fill("{tp}", std::to_string(s.d.tp));
    fill("{pp}", std::to_string(s.d.pp));
    fill("{context}", std::to_string(s.w.context));
    if (s.d.memory_fraction && !s.engine.fraction_flag.empty())
      command += fmt::format(" {} {}", s.engine.fraction_flag, significant(*s.d.memory_fraction, 3));
    if (s.d.cache.key == format("fp8") && !s.engine.kv_flag.empty()) command += " " + s.engine.kv_flag;
    if (s.d.weights) command += fmt::format("  (with a checkpoint in {})", s.d.weights->name);
    lines.lines.push_back("to check: " + command);
    lines.lines.push_back(
        fmt::format("its log line: \"{}\"; predicted {} tokens", s.engine.log_line, count(double(memory.max_tokens))));
  }
  doc.json["notes"] = lines.lines;
  doc.blocks.push_back(Heading{"Notes"});
  doc.blocks.push_back(lines);
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
  }
}

}  // namespace kvroof
