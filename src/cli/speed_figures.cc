// Charts of time: throughput, speed of a user against speed of a device, the parts of a step, MHA against GQA.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/figures.h"
#include "core/cache.h"
#include "render/number.h"

namespace kvroof {
namespace {

std::string titled(const std::string& title, const std::vector<Setup>& cases) {
  std::string common = common_name(cases);
  return common.empty() ? title : title + ": " + common;
}

}  // namespace

Chart throughput_vs_batch(FigureRequest& request) {
  Workload w{.context = context_of(request, 8192), .batch = 1};
  std::vector<Setup> cases = cases_of(request, {"llama-3.1-8b"}, {"l40s", "h100-sxm", "mi300x"}, w);
  std::vector<std::string> names = names_of(cases);
  Plot plot{{.title = "sequences decoded together (batch)",
             .key = "batch",
             .unit = AxisUnit::doublings,
             .log = true,
             .noun = "sequences"},
            {.title = "tokens/s in total",
             .key = "tokens_per_second",
             .unit = AxisUnit::number,
             .log = true,
             .noun = "tok/s"},
            {},
            false};
  bool banded = cases.size() <= 4;  // more bands over each other hide what they should show
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const Setup& c = cases[i];
    Series s{.name = names[i],
             .ends = request.batches.empty(),
             .label = fmt::format("{}: {} fit", names[i], count(double(c.memory().max_sequences)))};
    for (i64 batch : batches_of(request, c)) {
      Step step = c.step(batch);
      double all = double(batch * c.d.dp);
      Point p{.x = double(batch), .y = step.tokens_per_second};
      if (banded) p.low = all / step.high.value, p.high = all / step.low.value;
      s.points.push_back(p);
    }
    plot.series.push_back(s);
  }
  return {"throughput-vs-batch",
          titled("Decode throughput", cases),
          workload_words(request, w.context) + engine_words(cases),
          {std::string(banded ? "Bands are 80 % ranges; a" : "A") + " curve ends at the batch at which memory does."},
          plot};
}

Chart tokens_per_user(FigureRequest& request) {
  Workload w{.context = context_of(request, 8192), .batch = 1};
  std::vector<Setup> cases =
      cases_of(request, {"llama-3.1-70b"}, {"h100-sxm", "h200-sxm", "b200-sxm", "mi300x", "mi355x"}, w);
  std::vector<std::string> names = names_of(cases);
  Plot plot{user_speed_axis(),
            {.title = "tokens/s of one device",
             .key = "tokens_per_second_per_device",
             .unit = AxisUnit::number,
             .log = true,
             .noun = "tok/s a device"},
            {},
            false};
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const Setup& c = cases[i];
    Series s = curve_over_batches(request, c,
                                  [&](const Step& step) { return step.tokens_per_second / double(c.d.devices()); });
    s.name = names[i];
    plot.series.push_back(s);
  }
  return {"tokens-per-user",
          titled("A user's speed against a device's", cases),
          workload_words(request, w.context) + engine_words(cases),
          {"The numbers at the ends of a curve are its smallest and largest batch."},
          plot};
}

Chart step_breakdown(FigureRequest& request) {
  Workload w{.context = context_of(request, 8192), .batch = 1};
  std::vector<Setup> cases = cases_of(request, {"llama-3.1-70b"}, {"h100-sxm"}, w);
  std::vector<std::string> names = names_of(cases);
  Bars bars{
      {.title = "expected time of one decode step", .key = "seconds", .unit = AxisUnit::seconds}, "step", {}, {}, true};
  for (std::size_t i = 0; i < cases.size(); ++i) {
    std::vector<i64> batches = request.batches;
    i64 most = std::min<i64>(cases[i].memory().max_sequences, 1 << 16);
    if (batches.empty())
      for (i64 b : {i64(1), i64(4), i64(16), i64(64), most})
        if (b <= most && (batches.empty() || b > batches.back())) batches.push_back(b);
    for (i64 batch : batches) {
      std::string name =
          cases.size() > 1 ? fmt::format("{}, batch {}", names[i], batch) : fmt::format("batch {}", batch);
      if (batch > most) {
        request.left_out.push_back(fmt::format("{} on {} at batch {} does not fit ({} do)", cases[i].model.name,
                                               devices_name(cases[i]), batch, most));
        continue;
      }
      BarRow row{name, std::vector<double>(bars.series.size(), std::nan(""))};
      for (const StepPart& part : cases[i].step(batch).parts) {
        auto at = std::find(bars.series.begin(), bars.series.end(), part.name());
        std::size_t column = std::size_t(at - bars.series.begin());
        if (at == bars.series.end()) bars.series.emplace_back(part.name());
        row.values.resize(bars.series.size(), std::nan(""));
        row.values[column] = part.seconds.value;
      }
      bars.rows.push_back(row);
    }
  }
  return {"step-breakdown",
          titled("Where a decode step goes", cases),
          workload_words(request, w.context) + engine_words(cases),
          {},
          bars};
}

Chart gap_mha_gqa_by_device(FigureRequest& request) {
  if (request.models.size() > 1) throw InputError{"--models: this chart takes one model\n"};
  if (request.batches.size() > 1) throw InputError{"--batch: this chart takes one value\n"};
  Workload w{.context = context_of(request, 8192), .batch = request.batches.empty() ? 8 : request.batches[0]};
  Model model = model_of(request, request.models.empty() ? "llama-3.1-8b" : request.models[0]);
  std::vector<std::string> devices = request.devices;
  if (devices.empty())
    devices = {"a100-sxm-80", "h100-sxm", "h200-sxm", "b200-sxm",  "mi300x",        "mi355x", "gaudi3", "tpu-v5p",
               "tpu-v6e",     "tpu-v7",   "trn2",     "groq-lpu1", "cerebras-wse3", "sn40l",  "corsair"};
  std::vector<Kind> kinds = kinds_for(model);
  auto grouped = std::find_if(kinds.begin(), kinds.end(), [](const Kind& k) { return k.name.rfind("GQA", 0) == 0; });
  if (grouped == kinds.end()) throw InputError{"--models: " + model.id + " has no GQA shape to compare with MHA\n"};
  struct Family {
    std::string_view device_class;
    std::size_t series;
  };
  constexpr Family families[] = {
      {"asic-hbm", 1}, {"asic-dram", 1}, {"fpga-hbm", 1}, {"asic-sram", 2}, {"asic-3tier", 2}};
  Bars bars{{.title = fmt::format("step time as MHA over step time as {}", grouped->name),
             .key = "ratio",
             .unit = AxisUnit::times},
            "device",
            {"GPU or CPU", "ASIC with DRAM", "ASIC with SRAM"},
            {},
            false};
  for (const std::string& name : devices) {
    std::optional<Setup> c = case_of(request, kinds[0].model, name, w);
    if (!c) continue;
    double mha = c->step(w.batch).expected.value;
    c->model = grouped->model;
    if (!c->possible()) continue;
    BarRow row{devices_name(*c), std::vector<double>(3, std::nan(""))};
    std::size_t series = 0;
    for (const Family& f : families)
      if (f.device_class == c->device.device_class) series = f.series;
    row.values[series] = mha / c->step(w.batch).expected.value;
    bars.rows.push_back(row);
  }
  auto gap = [](const BarRow& r) {
    return *std::find_if(r.values.begin(), r.values.end(), [](double v) { return std::isfinite(v); });
  };
  std::stable_sort(bars.rows.begin(), bars.rows.end(),
                   [&](const BarRow& a, const BarRow& b) { return gap(a) > gap(b); });
  Chart chart{"gap-mha-gqa-by-device",
              fmt::format("How much slower MHA is than {}: {}", grouped->name, model.name),
              fmt::format("batch {}, ", w.batch) + workload_words(request, w.context) + "; 1x: no difference",
              {},
              bars};
  chart.notes.push_back(
      "Each device count is the fewest (a power of two) on which the MHA shape fits; GQA runs on as many.");
  return chart;
}

Chart speedup_vs_context(FigureRequest& request) {
  if (request.models.size() > 1 || request.devices.size() > 1)
    throw InputError{"chart speedup-vs-context: takes one model and one device\n"};
  std::vector<i64> contexts = request.contexts, batches = request.batches;
  if (contexts.empty()) contexts = {512, 1024, 2048, 4096, 8192, 16384, 32768, 65536};
  if (batches.empty()) batches = {1, 8, 64};
  Workload w{.context = 4096, .batch = 1};
  std::vector<Setup> cases = cases_of(request, {"llama-2-7b"}, {"b200-sxm"}, w);
  Plot plot{
      {.title = "tokens of context", .key = "context_tokens", .unit = AxisUnit::tokens, .log = true, .noun = "tokens"},
      {.title = "step time as MHA over step time", .key = "ratio", .unit = AxisUnit::times, .log = true},
      {},
      false};
  Chart chart{"speedup-vs-context", "Fewer KV heads", "", {}, plot};
  if (cases.empty()) return chart;
  const Setup& c = cases[0];
  std::vector<Kind> kinds = kinds_for(c.model);
  auto expected = [&](const Kind& kind, i64 context, i64 batch) -> std::optional<double> {
    Setup as = c;
    as.model = kind.model;
    as.w = {.context = context, .batch = batch};
    if (!as.possible() || as.memory().max_sequences < batch) return std::nullopt;
    return as.step(batch).expected.value;
  };
  std::string bytes;
  for (std::size_t k = 1; k < kinds.size(); ++k) {
    if (kinds[k].name == "MLA") continue;
    double fewer = cache_per_token(kinds[0].model, c.d) / cache_per_token(kinds[k].model, c.d);
    bytes += (bytes.empty() ? "" : ", ") + fmt::format("{} caches {} less", kinds[k].name, ratio(fewer));
    for (i64 batch : batches) {
      Series s{.name = fmt::format("{}, batch {}", kinds[k].name, batch)};
      for (i64 context : contexts)
        if (auto mha = expected(kinds[0], context, batch), fewer_heads = expected(kinds[k], context, batch);
            mha && fewer_heads)
          s.points.push_back({.x = double(context), .y = *mha / *fewer_heads});
      if (!s.points.empty()) plot.series.push_back(s);
    }
  }
  chart.title = fmt::format("Faster with fewer KV heads: {} on {}", c.model.name, devices_name(c));
  chart.subtitle = bytes + engine_words(cases);
  chart.notes.push_back("A curve ends where MHA no longer fits.");
  chart.body = plot;
  return chart;
}

}  // namespace kvroof
