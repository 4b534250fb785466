#include "core/training.h"

#include <algorithm>
#include <cmath>

namespace kvroof {
namespace {

/// What one layer keeps of a token for the backward pass, in bytes, with attention's scores recomputed: 34·h for the
/// MHA transformer of Korthikanti et al. 2022 (table 2), of which 4·h are K and V and 16·h the two halves of a plain
/// feed-forward of 4·h. A gated one keeps three.
Bytes activation_of_token(const Model& m, const LayerGroup& g) {
  double cached = 0, wide = 0;
  if (const Heads* h = heads_of(g.attention)) cached = double(h->kv * (h->key_dim + h->value_dim)) * 2;
  if (const auto* dense = std::get_if<DenseFeedForward>(&g.feed_forward))
    wide = double(dense->width * dense->matrices) * 2;
  if (const auto* moe = std::get_if<MoeFeedForward>(&g.feed_forward))
    wide = double((moe->top_k * moe->width + moe->shared_width) * moe->matrices) * 2;
  return Bytes{14.0 * double(m.hidden) + wide + cached};
}

i64* width_of(FeedForward& ff) {
  if (auto* dense = std::get_if<DenseFeedForward>(&ff)) return &dense->width;
  if (auto* moe = std::get_if<MoeFeedForward>(&ff)) return &moe->width;
  return nullptr;
}

}  // namespace

TrainingCost training_cost(const Model& model, i64 context) {
  TrainingCost c;
  Parameters p = count_parameters(model);
  c.parameters = p.total;
  c.states = Bytes{state_bytes_per_parameter * double(p.total)};
  double matrices = double(p.active - (model.tied_embeddings ? 0 : p.input_embedding));  // a row is looked up
  c.linears_per_token = Flops{6 * matrices};
  for (const LayerGroup& g : model.layers) {
    FeedForward ff = g.feed_forward;
    if (const i64* width = width_of(ff); width && c.width == 0) c.width = *width;
    double layers = double(g.count);
    c.activations += layers * double(context) * activation_of_token(model, g);
    i64 mean = std::max<i64>(1, kept_tokens(g.attention, context, {}) / 2);  // causal: half of the keys on average
    c.attention_per_token += 3 * layers * prompt_flops(g.attention, mean);
  }
  return c;
}

std::optional<Model> widened_to(Model model, i64 parameters) {
  auto with_widths = [&](double factor) {
    Model m = model;
    for (LayerGroup& g : m.layers)
      if (i64* width = width_of(g.feed_forward)) *width = i64(std::llround(double(*width) * factor));
    return m;
  };
  if (count_parameters(with_widths(2)).total <= count_parameters(model).total) return std::nullopt;
  double low = 0.25, high = 4;
  for (int i = 0; i < 50; ++i) {
    double middle = (low + high) / 2;
    (count_parameters(with_widths(middle)).total < parameters ? low : high) = middle;
  }
  return with_widths(high);
}

Flops uptraining_flops(const Model& model, double tokens, double share) {
  return Flops{share * 6 * double(count_parameters(model).active) * tokens};
}

}  // namespace kvroof
