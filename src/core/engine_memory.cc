#include "core/engine_memory.h"

#include <algorithm>

#include "core/memory.h"

namespace kvroof {
namespace {

/// Engines give devices below a size smaller batches and fewer graphs.
bool is_small(const Device& device, const Engine& engine) {
  Bytes memory;
  for (const MemoryTier& tier : device.memory) memory += tier.capacity;
  return memory < engine.activation.large_memory;
}

/// Rows of the experts one token visits, on a rank: both expert matmuls' outputs are held at once. The mxfp4
/// kernels hand theirs back before the sampler's peak.
double expert_row(const Model& m, const Deployment& d) {
  if (format_of(m, d, WeightRole::expert) == format("mxfp4")) return 0;
  double widest = 0;
  for (const LayerGroup& g : m.layers)
    if (const auto* moe = std::get_if<MoeFeedForward>(&g.feed_forward)) {
      double width = double(moe->width) / double(d.tp);
      widest = std::max(widest,
                        double(moe->top_k) * (std::max(double(moe->matrices - 1) * width, double(m.hidden)) + width));
    }
  return widest;
}

/// The widest dense feed-forward of a rank.
double dense_row(const Model& m, const Deployment& d) {
  double widest = 0;
  for (const LayerGroup& g : m.layers)
    if (const auto* dense = std::get_if<DenseFeedForward>(&g.feed_forward))
      widest = std::max(widest, double(dense->width) / double(d.tp));
  return widest;
}

}  // namespace

/// A profiling run peaks in the sampler on the last stage, where the hidden rows it came from are still held, or
/// in a feed-forward; later stages also hold the rows they were sent.
Bytes activation_bytes(const Model& m, const Device& device, const Deployment& d, const Engine& e, i64 stage) {
  const ActivationRule& a = e.activation;
  double tokens = double(d.batched_tokens), hidden = double(m.hidden);
  double element = m.weights.embeddings == format("f32") ? 2 : 1;  // of a row, in units of 16 bits
  i64 sequences = is_small(device, e) ? a.small_sampler_sequences : a.sampler_sequences;
  if (d.sampler_sequences > 0) sequences = d.sampler_sequences;
  sequences = std::min(sequences, d.batched_tokens);
  double logits = a.logits_bytes + 2 * (element - 1);
  double sampler = double(sequences) * logits * double(m.vocab) + element * tokens * a.hidden_bytes * hidden;
  double forward = element * tokens * (a.forward_hidden_bytes * hidden + a.forward_width_bytes * dense_row(m, d));
  double peak = stage == d.pp - 1 && a.logits_bytes > 0 ? std::max(sampler, forward) : forward;
  double sent = stage > 0 ? 2 * element * tokens * a.hidden_bytes * hidden : 0;
  return a.base + Bytes{peak + sent + tokens * a.expert_bytes * expert_row(m, d)};
}

Bytes runtime_bytes(const Device& device, const Deployment& d, const Engine& e) {
  Bytes graphs = is_small(device, e) && e.small_graphs.value > 0 ? e.small_graphs : e.graphs;
  return e.runtime + (d.tp > 1 ? e.runtime_tp : Bytes{}) + graphs;
}

Bytes rotary_tables(const Model& m, const Engine& e) {
  if (!e.keeps_rotary_tables || !m.max_context) return {};
  double full = 0, windowed = 0;  // rotary dims; both kinds of a hybrid have tables of their own
  for (const LayerGroup& g : m.layers) {
    if (const auto* latent = std::get_if<LatentAttention>(&g.attention))
      full = std::max(full, double(latent->rope_dim));
    const Heads* heads = heads_of(g.attention);
    if (!heads || std::holds_alternative<CrossAttention>(g.attention)) continue;
    double& dim = std::holds_alternative<SlidingAttention>(g.attention) ? windowed : full;
    dim = std::max(dim, double(heads->key_dim));
  }
  return {2 * double(*m.max_context) * (full + windowed)};
}

Bytes expert_padding(const Model& m, const Deployment& d, const Engine& e, i64 stage) {
  const Format& f = format_of(m, d, WeightRole::expert);
  if (!(f == format("mxfp4"))) return {};
  Bytes sum;
  std::vector<i64> held = stage_layers(m, stage, d.pp, stages_of(e));
  for (std::size_t i = 0; i < m.layers.size(); ++i)
    if (const auto* moe = std::get_if<MoeFeedForward>(&m.layers[i].feed_forward)) {
      i64 hidden = moe->expert_hidden > 0 ? moe->expert_hidden : m.hidden, width = ceil_div(moe->width, d.tp);
      double added = double(round_up(hidden, e.expert_hidden_tile)) * double(round_up(width, e.expert_width_tile)) -
                     double(hidden) * double(width);
      double matrices = double(moe->matrices * moe->experts * held[i]);
      sum += f.size(matrices * added, 1 << 20);
    }
  return sum;
}

}  // namespace kvroof
