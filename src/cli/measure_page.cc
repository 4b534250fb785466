#include "cli/measure_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "measure/kernel.h"
#include "render/number.h"

namespace kvroof {
namespace {

std::string threads_of(i64 threads) { return threads == 1 ? "1 thread" : fmt::format("{} threads", threads); }

std::string tier_name(const Profile& p, std::size_t tier) {
  return tier + 1 == p.tiers.size() ? "main memory" : "cache, " + size(p.tiers[tier].capacity);
}

std::string quiet_of(const Samples& s) { return fmt::format("{}/{}", s.quiet.size(), s.taken); }

double spread_of(const Samples& s) { return (s.quantile(0.9) - s.quantile(0.1)) / (2 * s.median()); }

/// Whichever takes longer of a shape's stream and its work on cached data.
std::string_view bound_by(const ShapeRun& s, const Profile& p) {
  Device fitted = device_of(p, s.tier, s.shape.paging), d = unhidden(fitted);
  Seconds stream = cache_bytes(s.shape) / d.memory[0].bandwidth, cores = predict(s.shape, d) - stream;
  const CoreCost* kernel = fitted.achievable.core_cost(s.shape.format, double(s.shape.group));
  double fraction = fitted.achievable.attention[int(Arithmetic::bf16)]->fraction;
  if (kernel && kernel->fraction) fraction = *kernel->fraction;
  return stream / fraction > cores ? "memory" : "cores";
}

void add_machine(Document& doc, const MeasureRun& run) {
  const Profile& p = run.profile;
  doc.blocks.push_back(Heading{fmt::format("{}, {}, {}", p.cpu_name, p.instruction_set, threads_of(p.threads))});
  Facts facts;
  facts.rows = {{"memory", size(run.limits.memory()) + (run.limits.allowance ? "  (within its cgroup)" : "")},
                {"multiply-add", flop_rate(p.peak) + " in f32"},
                {"fork and join", duration(p.fork_join)},
                {"priority", run.priority},
                {"samples", fmt::format("{} of {} quiet", count(run.quiet), count(run.taken))}};
  if (p.tile_peak) facts.rows.insert(facts.rows.begin() + 2, {"tiles (AMX)", flop_rate(*p.tile_peak) + " in bf16"});
  doc.blocks.push_back(facts);

  Table tiers{{"<tier", "holds", "read", "one thread", "streamed", "hidden", "in pages", "hidden"}, {}};
  for (std::size_t i = 0; i < p.tiers.size(); ++i) {
    const MeasuredTier& t = p.tiers[i];
    bool fitted = std::any_of(run.shapes.begin(), run.shapes.end(), [&](const ShapeRun& s) { return s.tier == i; });
    tiers.rows.push_back({i + 1 == p.tiers.size() ? "memory" : "cache", size(t.capacity), bandwidth(t.bandwidth),
                          t.one_thread.value > 0 ? bandwidth(t.one_thread) : "-"});
    for (const Fit& fit : {t.vectors.contiguous, t.vectors.paged})
      for (double share : {fit.fraction, fit.hidden}) tiers.rows.back().push_back(fitted ? percent(share) : "-");
    if (!p.tile_peak || !fitted) continue;
    tiers.rows.push_back({"tiles", "", "", ""});
    for (const Fit& fit : {t.tiles.contiguous, t.tiles.paged})
      for (double share : {fit.fraction, fit.hidden}) tiers.rows.back().push_back(percent(share));
  }
  doc.blocks.push_back(Heading{"Memory, as working sets showed it"});
  doc.blocks.push_back(tiers);

  Table core{{"<format", "an element", "a score", "multiply-add", "of peak"}, {}};
  for (const CoreCost& c : p.core)
    core.rows.push_back({std::string(c.format.name) + (c.block > 1 ? " on tiles" : ""),
                         fmt::format("{:.1f} ps", c.element.value * 1e12),
                         fmt::format("{:.2f} ns", c.score.value * 1e9), flop_rate(c.rate),
                         percent(c.rate / p.peak_of(c.block))});
  doc.blocks.push_back(Heading{"The kernel on cached data, all threads"});
  doc.blocks.push_back(core);
}

void add_shapes(Document& doc, const MeasureRun& run, std::size_t tier) {
  Table table{{"<shape", "predicted", "measured", "spread", "quiet", "error", "read"}, {}};
  for (const ShapeRun& s : run.shapes) {
    if (s.tier != tier) continue;
    bool judged = s.judged();
    table.rows.push_back(
        {name_of(s.shape), duration(s.predicted), judged ? duration(s.kernel.median()) : "-",
         judged ? fmt::format("{:.0f} %", 100 * spread_of(s.kernel)) : "-", quiet_of(s.kernel),
         judged ? fmt::format("{:+.1f} %", 100 * s.error()) : "none",
         judged && s.read.enough() ? fmt::format("{:.0f} %", 100 * (s.achieved() / s.read_bandwidth())) : "-"});
  }
  if (table.rows.empty()) return;
  doc.blocks.push_back(Heading{"Decode attention from " + tier_name(run.profile, tier)});
  doc.blocks.push_back(table);
}

std::vector<double> errors_of(const MeasureRun& run) {
  std::vector<double> errors;
  for (const ShapeRun& s : run.shapes)
    if (s.judged()) errors.push_back(std::abs(s.error()));
  return errors;
}

/// The first shape of `like`'s heads, width, format and context with another group or paging.
const ShapeRun* with(const MeasureRun& run, const ShapeRun& like, i64 group, Paging paging) {
  AttentionShape wanted = like.shape;
  wanted.kv_heads = like.shape.query_heads() / group;
  wanted.group = group;
  wanted.paging = paging;
  for (const ShapeRun& s : run.shapes)
    if (s.shape == wanted && s.tier == like.tier && s.judged()) return &s;
  return nullptr;
}

/// How much faster a step gets with fewer KV heads, beside how many bytes it no longer moves.
void add_sharing(Document& doc, const MeasureRun& run) {
  Table table{{"<shape", "bytes", "fewer bytes", "faster", "predicted"}, {}};
  Json list = Json::array();
  for (const ShapeRun& mha : run.shapes) {
    if (mha.shape.group != 1 || !mha.judged()) continue;
    for (i64 group = 2; group <= mha.shape.query_heads(); ++group) {
      const ShapeRun* s = mha.shape.query_heads() % group == 0 ? with(run, mha, group, mha.shape.paging) : nullptr;
      if (!s) continue;
      double bytes = cache_bytes(mha.shape) / cache_bytes(s->shape), time = mha.kernel.median() / s->kernel.median();
      table.rows.push_back({name_of(s->shape), size(cache_bytes(s->shape)), ratio(bytes), ratio(time),
                            ratio(mha.predicted / s->predicted)});
      list.push_back({{"mha", name_of(mha.shape)},
                      {"shape", name_of(s->shape)},
                      {"bytes_ratio", bytes},
                      {"measured_ratio", time},
                      {"predicted_ratio", mha.predicted / s->predicted}});
    }
  }
  doc.json["sharing"] = list;
  if (table.rows.empty()) return;
  doc.blocks.push_back(Heading{"Fewer KV heads, against MHA of the same query heads"});
  doc.blocks.push_back(table);
}

void add_paging(Document& doc, const MeasureRun& run) {
  Table table{{"<shape", "contiguous", "this", "slower by"}, {}};
  Json list = Json::array();
  for (const ShapeRun& s : run.shapes) {
    if (s.shape.paging == Paging::contiguous || !s.judged()) continue;
    const ShapeRun* plain = with(run, s, s.shape.group, Paging::contiguous);
    if (!plain) continue;
    double slower = s.kernel.median() / plain->kernel.median() - 1;
    table.rows.push_back({name_of(s.shape), duration(plain->kernel.median()), duration(s.kernel.median()),
                          fmt::format("{:+.1f} %", 100 * slower)});
    list.push_back({{"shape", name_of(s.shape)}, {"slower_by", slower}});
  }
  doc.json["paging"] = list;
  if (table.rows.empty()) return;
  doc.blocks.push_back(Heading{"Pages of 16 tokens: in order, and at random"});
  doc.blocks.push_back(table);
}

Json json_of(const Samples& s) {
  return {{"median_seconds", s.median().value},
          {"p10_seconds", s.quantile(0.1).value},
          {"p90_seconds", s.quantile(0.9).value},
          {"quiet", s.quiet.size()},
          {"taken", s.taken}};
}

Json json_of(const ShapeRun& s, const Profile& p, const RangeRule& range) {
  Json j = {{"name", name_of(s.shape)}, {"shape", json_of(s.shape)}, {"tier", s.tier}, {"bound_by", bound_by(s, p)}};
  j["kv_bytes"] = cache_bytes(s.shape).value;
  j["flops"] = attention_flops(s.shape).value;
  j["off_reference"] = s.mismatch;
  j["predicted_seconds"] = s.predicted.value;
  j["low_seconds"] = range.low * s.predicted.value;
  j["high_seconds"] = range.high * s.predicted.value;
  j["measured"] = json_of(s.kernel);
  j["read_beside"] = json_of(s.read);
  j["read_bytes"] = s.read_bytes;
  j["verdict"] = s.judged();
  if (s.judged()) j["error"] = s.error();
  if (s.judged() && s.read.enough()) j["share_of_read"] = s.achieved() / s.read_bandwidth();
  return j;
}

Json json_of(const std::vector<SweepPoint>& sweep) {
  Json list = Json::array();
  for (const SweepPoint& p : sweep)
    list.push_back({{"working_set_bytes", p.working_set.value}, {"bandwidth_bytes_per_second", p.bandwidth.value}});
  return list;
}

Json json_of(const Fit& fit) { return {{"fraction", fit.fraction}, {"hidden", fit.hidden}}; }
Json json_of(const Streams& s) { return {{"contiguous", json_of(s.contiguous)}, {"paged", json_of(s.paged)}}; }
Fit fit_in(const Json& j) { return {j.at("fraction"), j.at("hidden")}; }
Streams streams_in(const Json& j) { return {fit_in(j.at("contiguous")), fit_in(j.at("paged"))}; }

constexpr std::string_view paging_names[] = {"contiguous", "in_order", "random"};

}  // namespace

Json json_of(const Profile& p) {
  Json j = {{"cpu", p.cpu_name},
            {"instruction_set", p.instruction_set},
            {"threads", p.threads},
            {"peak_flops_per_second", p.peak.value},
            {"fork_join_seconds", p.fork_join.value}};
  if (p.tile_peak) j["tile_flops_per_second"] = p.tile_peak->value;
  for (const MeasuredTier& t : p.tiers) {
    Json tier = {{"capacity_bytes", t.capacity.value},
                 {"bandwidth_bytes_per_second", t.bandwidth.value},
                 {"one_thread_bytes_per_second", t.one_thread.value}};
    tier.update(json_of(t.vectors));
    if (p.tile_peak) tier["tiles"] = json_of(t.tiles);
    j["tiers"].push_back(tier);
  }
  for (const CoreCost& c : p.core) {
    Json core = {{"format", c.format.name},
                 {"element_seconds", c.element.value},
                 {"score_seconds", c.score.value},
                 {"flops_per_second", c.rate.value}};
    if (c.block > 1) core.update({{"block", c.block}, {"from_group", c.from_group}});
    j["core"].push_back(core);
  }
  return j;
}

Profile profile_of(const Json& j) {
  Profile p;
  p.cpu_name = j.at("cpu");
  p.instruction_set = j.at("instruction_set");
  p.threads = j.at("threads");
  p.peak = {j.at("peak_flops_per_second")};
  p.fork_join = {j.at("fork_join_seconds")};
  if (j.contains("tile_flops_per_second")) p.tile_peak = FlopRate{j.at("tile_flops_per_second")};
  for (const Json& t : j.at("tiers"))
    p.tiers.push_back({.capacity = {t.at("capacity_bytes")},
                       .bandwidth = {t.at("bandwidth_bytes_per_second")},
                       .one_thread = {t.at("one_thread_bytes_per_second")},
                       .vectors = streams_in(t),
                       .tiles = t.contains("tiles") ? streams_in(t.at("tiles")) : Streams{}});
  for (const Json& c : j.at("core")) {
    CoreCost cost;
    cost.format = format(c.at("format").get<std::string>());
    cost.element = {c.at("element_seconds")};
    cost.score = {c.at("score_seconds")};
    cost.rate = {c.at("flops_per_second")};
    cost.block = c.value("block", i64{1});
    cost.from_group = c.value("from_group", i64{1});
    p.core.push_back(cost);
  }
  return p;
}

Json json_of(const AttentionShape& s) {
  return {{"kv_heads", s.kv_heads}, {"group", s.group},
          {"key_dim", s.key_dim},   {"value_dim", s.value_dim},
          {"context", s.context},   {"dtype", s.format.name},
          {"latent", s.latent},     {"pages", paging_names[int(s.paging)]}};
}

AttentionShape shape_of(const Json& j) {
  AttentionShape s{.kv_heads = j.at("kv_heads"),
                   .group = j.at("group"),
                   .key_dim = j.at("key_dim"),
                   .value_dim = j.at("value_dim"),
                   .context = j.at("context"),
                   .format = format(j.at("dtype").get<std::string>()),
                   .latent = j.at("latent")};
  for (int p = 0; p < 3; ++p)
    if (j.at("pages") == paging_names[p]) s.paging = Paging(p);
  return s;
}

Document page_of(const MeasureRun& run, const RangeRule& range) {
  Document doc;
  doc.json = {{"schema_version", 1},
              {"command", "measure"},
              {"memory_bytes", run.limits.memory().value},
              {"priority", run.priority},
              {"samples", {{"quiet", run.quiet}, {"taken", run.taken}, {"most_lost", most_lost}}},
              {"profile", json_of(run.profile)},
              {"sweep", {{"all_threads", json_of(run.sweep)}, {"one_thread", json_of(run.sweep_one_thread)}}},
              {"shapes", Json::array()}};
  doc.csv.columns = {"shape",  "tier",  "kv_bytes", "flops",         "predicted_seconds", "measured_seconds",
                     "spread", "quiet", "taken",    "share_of_read", "bound_by"};
  for (const ShapeRun& s : run.shapes) {
    doc.json["shapes"].push_back(json_of(s, run.profile, range));
    doc.csv.rows.push_back(
        {name_of(s.shape), std::to_string(s.tier), fmt::format("{}", cache_bytes(s.shape).value),
         fmt::format("{}", attention_flops(s.shape).value), fmt::format("{:.6g}", s.predicted.value),
         s.judged() ? fmt::format("{:.6g}", s.kernel.median().value) : "",
         s.judged() ? fmt::format("{:.4f}", spread_of(s.kernel)) : "", std::to_string(s.kernel.quiet.size()),
         std::to_string(s.kernel.taken),
         s.judged() && s.read.enough() ? fmt::format("{:.4f}", s.achieved() / s.read_bandwidth()) : "",
         std::string(bound_by(s, run.profile))});
  }
  add_machine(doc, run);
  for (std::size_t tier = run.profile.tiers.size(); tier-- > 0;) add_shapes(doc, run, tier);

  std::vector<double> errors = errors_of(run);
  if (!errors.empty()) {
    doc.json["error"] = {
        {"shapes", errors.size()}, {"p50", quantile_of(errors, 0.5)}, {"p90", quantile_of(errors, 0.9)}};
    doc.blocks.push_back(Heading{fmt::format("Error over {} shapes", errors.size())});
    doc.blocks.push_back(
        Facts{{{"median", percent(quantile_of(errors, 0.5))}, {"p90", percent(quantile_of(errors, 0.9))}}});
  }
  add_sharing(doc, run);
  add_paging(doc, run);
  Notes notes;
  std::map<double, double> worst;  // by limit
  for (const ShapeRun& s : run.shapes) {
    double& off = worst[kernel_tolerance(s.shape)];
    off = std::max(off, s.mismatch);
  }
  std::string within;
  for (auto [limit, off] : worst)
    within += fmt::format("{}{:.1e} (limit {:.0e})", within.empty() ? "" : " and ", off, limit);
  notes.lines = {
      "before the clock started the kernel was within " + within + " of the reference in double",
      fmt::format(
          "a sample is quiet when its busiest thread ran for all but {:.0f} % of it; times are medians of quiet "
          "samples, spread is half of p10 to p90; fewer than {} are no verdict",
          100 * most_lost, least_quiet),
      "predicted from the reads, the kernel on cached data, and a stream share and overlap fitted on heads of 96, "
      "never "
      "from the shape's own time",
      "read: bytes of the cache per second, over those of reading the same tier just before; streamed, in pages: what "
      "share of it the kernel's stream reaches; hidden: how much of the shorter of stream and core work lies under the "
      "longer"};
  if (run.priority == "ordinary")
    notes.lines.push_back(
        "the system granted no priority: on a busy machine few samples are quiet (sudo, or CAP_SYS_NICE)");
  doc.blocks.push_back(Heading{"Notes"});
  doc.blocks.push_back(notes);
  return doc;
}

std::vector<Prediction> predictions_of(const MeasureRun& run, const RangeRule& range) {
  std::vector<Prediction> rows;
  for (const ShapeRun& s : run.shapes) {
    Prediction p;
    p.id = name_of(s.shape) + (s.tier + 1 == run.profile.tiers.size() ? "" : " cached");
    p.metric = "time_us";
    p.source = run.profile.cpu_name;
    p.kind = "decode attention, " + std::string(s.shape.format.name);
    p.predicted = s.predicted.value * 1e6;
    p.low = range.low * *p.predicted;
    p.high = range.high * *p.predicted;
    p.basis = std::string(name_of(Basis::measured_kernels));
    if (s.judged())
      p.measured = s.kernel.median().value * 1e6;
    else
      p.skipped = fmt::format("{} quiet samples of {}", s.kernel.quiet.size(), s.kernel.taken);
    rows.push_back(p);
  }
  return rows;
}

Chart roofline_of(const MeasureRun& run) {
  const Profile& profile = run.profile;
  std::size_t memory = profile.tiers.size() - 1;
  Plot plot{{.title = "flop per byte of the cache",
             .key = "flop_per_byte",
             .unit = AxisUnit::number,
             .log = true,
             .noun = "flop/byte"},
            {.title = "arithmetic done", .key = "flop_per_second", .unit = AxisUnit::flop_rate, .log = true},
            {},
            false};
  std::vector<Series> points;
  double low = 0.4, high = 100;
  for (const ShapeRun& s : run.shapes) {
    if (!s.judged()) continue;
    std::string name(s.shape.format.name);
    auto found = std::find_if(points.begin(), points.end(), [&](const Series& p) { return p.name == name; });
    if (found == points.end()) {
      points.push_back({.name = name, .joined = false});
      found = points.end() - 1;
    }
    double x = attention_flops(s.shape).value / cache_bytes(s.shape).value;
    high = std::max(high, 2 * x);
    found->points.push_back({.x = x,
                             .y = attention_flops(s.shape).value / s.kernel.median().value,
                             .low = attention_flops(s.shape).value / s.kernel.quantile(0.9).value,
                             .high = attention_flops(s.shape).value / s.kernel.quantile(0.1).value,
                             .label = name_of(s.shape) + (s.tier == memory ? "" : ", from cache")});
  }
  auto roof = [&](const std::string& name, Bandwidth rate) {
    double ridge = profile.peak.value / rate.value;
    Series s{.name = fmt::format("{}, {}", name, bandwidth(rate)), .marked = false, .name_at = 1};
    for (double x : {low, std::sqrt(low * ridge), ridge, std::max(high, 2 * ridge)})
      s.points.push_back({.x = x, .y = std::min(profile.peak.value, x * rate.value)});
    return s;
  };
  plot.series.push_back(roof("main memory", profile.tiers[memory].bandwidth));
  if (memory > 0) {
    plot.series.push_back(roof("cache", profile.tiers[memory - 1].bandwidth));
    plot.series.back().dashed = true;
  }
  plot.series[0].points[2].mark = flop_rate(profile.peak);
  if (profile.tile_peak) {  // the slope of main memory goes on to what tiles reach
    double slope = profile.tiers[memory].bandwidth.value, ridge = profile.tile_peak->value / slope;
    Series tiles{.name = "tiles", .marked = false, .dashed = true, .named = false};
    for (double x : {profile.peak.value / slope, ridge, 3 * ridge})
      tiles.points.push_back({.x = x, .y = std::min(profile.tile_peak->value, x * slope)});
    tiles.points[1].mark = flop_rate(*profile.tile_peak) + " on tiles";
    plot.series.push_back(tiles);
  }
  for (Series& s : points) plot.series.push_back(std::move(s));
  Chart chart{
      "measured-roofline",
      fmt::format("Decode attention measured on {}", profile.cpu_name),
      fmt::format("{}, {}: medians of quiet samples, p10 to p90", profile.instruction_set, threads_of(profile.threads)),
      {profile.tile_peak
           ? "Roofs are measured too: read bandwidth, f32 multiply-adds, and bf16 products of AMX's tiles."
           : "Roofs are measured too: read bandwidth, and f32 multiply-adds."},
      plot};
  return chart;
}

}  // namespace kvroof
