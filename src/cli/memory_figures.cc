// Charts of bytes: caches by length and kind, what fills a device, how many sequences fit.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/describe.h"
#include "cli/figures.h"
#include "core/cache.h"
#include "render/number.h"

namespace kvroof {
namespace {

const std::vector<i64> doubling_contexts = {1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072};

const Axis context_axis{
    .title = "tokens of context", .key = "context_tokens", .unit = AxisUnit::tokens, .log = true, .noun = "tokens"};

/// The kinds of a model in a word: MLA, GQA-8, windows, states.
std::string few_kinds(const Model& model) {
  bool windows = false, states = false;
  std::string main;
  for (const LayerGroup& g : model.layers) {
    windows |=
        std::holds_alternative<SlidingAttention>(g.attention) || std::holds_alternative<ChunkedAttention>(g.attention);
    states |= std::holds_alternative<RecurrentState>(g.attention);
    if (main.empty() && query_heads(g.attention) > 0) main = sharing_of(g).substr(0, sharing_of(g).find(' '));
  }
  if (main.empty()) return states ? "states" : "none";
  return windows ? "windows" : states ? "states" : main;  // what sets its cache apart
}

}  // namespace

Chart kv_vs_context(FigureRequest& request) {
  std::vector<std::string> models = request.models;
  if (models.empty())
    models = {"llama-2-7b",  "llama-3.1-70b", "llama-3.1-8b",      "deepseek-v3",
              "gemma-3-27b", "falcon-7b",     "qwen3-next-80b-a3b"};
  Plot plot{context_axis,
            {.title = "KV cache of one sequence", .key = "cache_bytes", .unit = AxisUnit::bytes, .log = true},
            {},
            true};
  bool ended = false;
  for (const std::string& name : models) {
    Model model = model_of(request, name);
    Deployment d;
    apply(request.cache, model, d);
    Series s{.name = model.name, .label = model.name + ", " + few_kinds(model)};
    for (i64 context : request.contexts.empty() ? doubling_contexts : request.contexts) {
      bool beyond = model.max_context && context > *model.max_context && request.contexts.empty();
      ended |= beyond;
      if (!beyond) s.points.push_back({.x = double(context), .y = sequence_cache(model, context, d).value});
    }
    plot.series.push_back(s);
  }
  Deployment d;
  apply(request.cache, Model{}, d);
  Chart chart{"kv-vs-context",
              "KV cache against context",
              fmt::format("one sequence, {}, ideal bytes", cache_format_of(d.cache)),
              {},
              plot};
  if (ended) chart.notes.push_back("A curve ends at the longest context its model was made for.");
  return chart;
}

Chart kv_by_kind(FigureRequest& request) {
  if (request.models.size() > 1) throw InputError{"--models: this chart takes one model\n"};
  Model model = model_of(request, request.models.empty() ? "llama-2-70b" : request.models[0]);
  i64 context = context_of(request, 4096);
  std::vector<std::string> names = request.kv_formats.size() < 2 && request.cache.kv_dtype.empty()
                                       ? std::vector<std::string>{"bf16", "fp8", "q4_0"}
                                       : request.kv_formats;
  Bars bars{
      {.title = "KV cache of one sequence", .key = "cache_bytes", .unit = AxisUnit::bytes}, "kind", names, {}, false};
  bool made_up = false;
  for (const Kind& kind : kinds_for(model)) {
    BarRow row{kind.name + (kind.own ? " (its own)" : ""), {}};
    made_up |= kind.name == "MLA" && !kind.own;
    for (const std::string& name : names) {
      Deployment d;
      apply(request.cache, kind.model, d);
      d.cache.key = d.cache.value = format_of_option("--kv-dtype", name, format("bf16"));
      row.values.push_back(sequence_cache(kind.model, context, d).value);
    }
    bars.rows.push_back(row);
  }
  Chart chart{"kv-by-kind",
              "KV cache by kind of attention: " + model.name,
              fmt::format("one sequence of {} tokens, ideal bytes", count(double(context))),
              {},
              bars};
  if (made_up)
    chart.notes.push_back(
        "MLA here is the latent of DeepSeek-V3, 512 + 64 elements a token and layer, in this model's layers.");
  return chart;
}

Chart memory_breakdown(FigureRequest& request) {
  Workload w{.context = context_of(request, 8192), .batch = 1};
  std::vector<Setup> cases =
      cases_of(request, {"llama-3.1-70b"}, {"h100-sxm", "h200-sxm", "b200-sxm", "mi300x", "mi355x", "gaudi3"}, w);
  std::vector<std::string> names = names_of(cases);
  Bars bars{{.title = "memory of one device, the tightest rank", .key = "bytes", .unit = AxisUnit::bytes},
            "deployment",
            {"weights", "runtime", "activations", "room for KV", "kept back"},
            {},
            true};
  for (std::size_t i = 0; i < cases.size(); ++i) {
    Memory m = cases[i].memory();
    bool unbounded = m.max_sequences > (i64(1) << 40);
    bars.rows.push_back({names[i],
                         {m.weights.value, m.runtime.value, m.activation.value, m.kv_room.value, m.reserved.value},
                         unbounded ? "nothing is cached"
                                   : fmt::format("{} sequence{} fit{}", count(double(m.max_sequences)),
                                                 m.max_sequences == 1 ? "" : "s", m.max_sequences == 1 ? "s" : "")});
  }
  // A segment none of the rows has would only take room in the key.
  for (std::size_t i = bars.series.size(); i-- > 0;)
    if (std::none_of(bars.rows.begin(), bars.rows.end(), [&](const BarRow& r) { return r.values[i] > 0; })) {
      bars.series.erase(bars.series.begin() + std::ptrdiff_t(i));
      for (BarRow& r : bars.rows) r.values.erase(r.values.begin() + std::ptrdiff_t(i));
    }
  std::string common = common_name(cases);
  std::vector<std::string> notes;
  if (std::any_of(cases.begin(), cases.end(), [](const Setup& c) { return c.engine.id == "ideal"; }))
    notes.push_back("Where the catalogue knows no engine for a device, nothing is kept back and there is no runtime.");
  return {"memory-breakdown", "What fills the memory" + (common.empty() ? "" : ": " + common),
          workload_words(request, w.context) + engine_words(cases), notes, bars};
}

Chart concurrency_vs_context(FigureRequest& request) {
  std::vector<i64> contexts = request.contexts.empty() ? doubling_contexts : request.contexts;
  Workload w{.context = contexts[contexts.size() / 2], .batch = 1};
  std::vector<Setup> cases = cases_of(request, {"llama-3.1-70b"}, {"h100-sxm"}, w);
  Plot plot{context_axis,
            {.title = "sequences that fit",
             .key = "max_sequences",
             .unit = AxisUnit::number,
             .log = true,
             .noun = "sequences"},
            {},
            false};
  auto add = [&](const Setup& at, const std::string& name) {
    Series s{.name = name};
    for (i64 context : contexts) {
      Setup c = at;
      c.w.context = context;
      if (!c.possible() || (c.model.max_context && context > *c.model.max_context && request.contexts.empty()))
        continue;
      i64 most = c.memory().max_sequences;
      if (most > 0 && most <= (i64(1) << 40)) s.points.push_back({.x = double(context), .y = double(most)});
    }
    plot.series.push_back(s);
  };
  std::string subtitle = "most sequences of one length held at once";
  if (cases.size() == 1) {  // one model on one device: the kinds of attention side by side
    for (const Kind& kind : kinds_for(cases[0].model)) {
      Setup c = cases[0];
      c.model = kind.model;
      add(c, kind.name + (kind.own ? " (its own)" : ""));
    }
  } else {
    std::vector<std::string> names = names_of(cases);
    for (std::size_t i = 0; i < cases.size(); ++i) add(cases[i], names[i]);
  }
  plot.names_right = true;
  std::string common = common_name(cases);
  return {"concurrency-vs-context",
          "How many fit" + (common.empty() ? "" : ": " + common),
          subtitle + engine_words(cases),
          {},
          plot};
}

}  // namespace kvroof
