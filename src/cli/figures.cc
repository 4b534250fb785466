#include "cli/figures.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/describe.h"
#include "render/number.h"

namespace kvroof {
namespace {

/// The latent of DeepSeek-V2 and V3 in place of every full layer's heads.
std::optional<Model> with_latent(Model model) {
  bool any = false;
  for (LayerGroup& g : model.layers) {
    const auto* full = std::get_if<FullAttention>(&g.attention);
    if (!full) continue;
    Heads h = full->heads;
    g.attention = LatentAttention{.query_heads = h.query,
                                  .kv_lora_rank = 512,
                                  .rope_dim = 64,
                                  .nope_dim = h.key_dim,
                                  .value_dim = h.value_dim,
                                  .q_lora_rank = 0,
                                  .indexer = std::nullopt};
    any = true;
  }
  if (!any) return std::nullopt;
  return model;
}

}  // namespace

std::span<const Figure> figures() {
  static constexpr Figure table[] = {
      {"kv-vs-context", "KV cache of one sequence against its length, by model", kv_vs_context},
      {"kv-by-kind", "KV cache of one shape as MHA, GQA, MQA and MLA, by number format", kv_by_kind},
      {"throughput-vs-batch", "tokens/s against batch, with its 80 % range and where memory ends", throughput_vs_batch},
      {"tokens-per-user", "tokens/s per user against tokens/s per device: the Pareto front", tokens_per_user},
      {"roofline", "a device's roofs with decode steps and attention kinds on it", roofline},
      {"step-breakdown", "where the milliseconds of a decode step go, by batch", step_breakdown},
      {"memory-breakdown", "what a device's memory is used for, and what is left for KV", memory_breakdown},
      {"gap-mha-gqa-by-device", "how much slower MHA is than GQA on each GPU and ASIC", gap_mha_gqa_by_device},
      {"speedup-vs-context", "how much faster GQA and MQA decode than MHA, by context and batch", speedup_vs_context},
      {"concurrency-vs-context", "sequences that fit against their length", concurrency_vs_context},
      {"cost", "dollars a million tokens against a user's speed, by device", cost},
      {"quality-vs-speed", "the GQA paper's quality against measured and predicted speed", quality_vs_speed},
      {"validation", "predicted against measured tokens/s, with 80 % ranges (needs --measured)", validation},
  };
  return table;
}

std::vector<Kind> kinds_for(const Model& model) {
  const Heads* own = nullptr;
  bool latent = false;
  for (const LayerGroup& g : model.layers) {
    if (const Heads* h = heads_of(g.attention); h && !own) own = h;
    latent |= std::holds_alternative<LatentAttention>(g.attention);
  }
  i64 query = 0;
  for (const LayerGroup& g : model.layers) query = std::max(query, query_heads(g.attention));
  if (query == 0) return {};
  i64 groups = own && !latent && own->kv > 1 && own->kv < own->query ? own->kv : 8;
  auto is_own = [&](i64 kv) { return own && !latent && own->kv == kv; };
  bool divides = true;
  for (const LayerGroup& g : model.layers) divides &= query_heads(g.attention) % groups == 0;
  std::vector<Kind> kinds = {{"MHA", with_kv_heads(model, 0), is_own(query)}};
  if (divides && groups < query)
    kinds.push_back({fmt::format("GQA-{}", groups), with_kv_heads(model, groups), is_own(groups)});
  kinds.push_back({"MQA", with_kv_heads(model, 1), is_own(1)});
  if (latent)
    kinds.push_back({"MLA", model, true});
  else if (std::optional<Model> mla = with_latent(model))
    kinds.push_back({"MLA", *mla, false});
  return kinds;
}

i64 context_of(const FigureRequest& request, i64 fallback) {
  if (request.contexts.size() > 1) throw InputError{"--context: this chart takes one value\n"};
  return request.contexts.empty() ? fallback : request.contexts[0];
}

std::vector<i64> batches_of(const FigureRequest& request, const Setup& c) {
  i64 most = std::min<i64>(c.memory().max_sequences, i64(1) << 16);
  std::vector<i64> batches;
  if (!request.batches.empty()) {
    for (i64 b : request.batches)
      if (b <= most) batches.push_back(b);
    return batches;
  }
  for (i64 b = 1; b < most; b *= 2) batches.push_back(b);
  // The last doubling goes when the end is close behind it: two marks would touch.
  if (batches.size() > 1 && double(most) < 1.3 * double(batches.back())) batches.pop_back();
  batches.push_back(most);
  return batches;
}

Axis user_speed_axis() {
  return {.title = "tokens/s of one user",
          .key = "tokens_per_second_per_user",
          .unit = AxisUnit::number,
          .from_zero = false,
          .noun = "tok/s a user"};
}

Series curve_over_batches(const FigureRequest& request, const Setup& c, const std::function<double(const Step&)>& y) {
  Series s;
  std::vector<i64> batches = batches_of(request, c);
  for (i64 batch : batches) {
    Step step = c.step(batch);
    bool end = batch == batches.front() || batch == batches.back();
    s.points.push_back({.x = step.tokens_per_second_per_user,
                        .y = y(step),
                        .label = fmt::format("batch {}", batch),
                        .mark = end ? fmt::format("{}", batch) : ""});
  }
  if (!s.points.empty()) s.name_at = s.points.size() / 2;
  return s;
}

std::string workload_words(const FigureRequest& request, i64 context) {
  Deployment d;
  apply(request.cache, Model{}, d);
  return fmt::format("{} tokens of context, {} KV cache", count(double(context)), cache_format_of(d.cache));
}

std::string engine_words(const std::vector<Setup>& cases) {
  if (cases.empty()) return "";
  for (const Setup& c : cases)
    if (c.engine.id != cases[0].engine.id) return ", each device's usual engine";
  return cases[0].engine.id == "ideal" ? "" : ", " + cases[0].engine.name;
}

}  // namespace kvroof
