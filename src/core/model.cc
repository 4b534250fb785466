#include "core/model.h"

#include <algorithm>

namespace kvroof {
namespace {

/// Counts beyond these are typing errors, and keep every product below 2^63.
constexpr i64 most_heads = 1 << 16, most_dim = 1 << 20, most_layers = 1 << 16, most_experts = 1 << 16,
              most_hidden = 1 << 22, most_vocab = i64(1) << 32;

class Check {
 public:
  explicit Check(std::vector<Problem>& found) : found_(found) {}
  void range(const std::string& path, i64 value, i64 least, i64 most) {
    if (value < least || value > most)
      found_.push_back(
          {path, "is " + std::to_string(value) + ", expected " + std::to_string(least) + " to " + std::to_string(most),
           ""});
  }
  void add(std::string path, std::string what, std::string hint = "") {
    found_.push_back({std::move(path), std::move(what), std::move(hint)});
  }

 private:
  std::vector<Problem>& found_;
};

void check_heads(Check& check, const std::string& path, const Heads& h) {
  check.range(path + ".q_heads", h.query, 1, most_heads);
  check.range(path + ".kv_heads", h.kv, 1, most_heads);
  check.range(path + ".head_dim", h.key_dim, 1, most_dim);
  check.range(path + ".value_dim", h.value_dim, 1, most_dim);
  if (h.kv >= 1 && h.query % h.kv != 0)
    check.add(path + ".kv_heads",
              std::to_string(h.kv) + " does not divide the " + std::to_string(h.query) + " query heads",
              "every group of query heads shares one KV head");
}

void check_attention(Check& check, const std::string& path, const Attention& attention) {
  if (const Heads* heads = heads_of(attention)) check_heads(check, path, *heads);
  if (const auto* s = std::get_if<SlidingAttention>(&attention))
    check.range(path + ".window", s->window, 1, i64(1) << 40);
  if (const auto* c = std::get_if<ChunkedAttention>(&attention))
    check.range(path + ".chunk", c->chunk, 1, i64(1) << 40);
  if (const auto* x = std::get_if<CrossAttention>(&attention))
    check.range(path + ".encoder_tokens", x->encoder_tokens, 1, i64(1) << 40);
  if (const auto* m = std::get_if<LatentAttention>(&attention)) {
    check.range(path + ".q_heads", m->query_heads, 1, most_heads);
    check.range(path + ".kv_lora_rank", m->kv_lora_rank, 1, most_dim);
    check.range(path + ".rope_dim", m->rope_dim, 0, most_dim);
    check.range(path + ".nope_dim", m->nope_dim, 0, most_dim);
    check.range(path + ".value_dim", m->value_dim, 1, most_dim);
    check.range(path + ".q_lora_rank", m->q_lora_rank, 0, most_dim);
    if (m->indexer) {
      check.range(path + ".indexer.heads", m->indexer->heads, 0, most_heads);
      check.range(path + ".indexer.head_dim", m->indexer->head_dim, 0, most_dim);
      check.range(path + ".indexer.top_k", m->indexer->top_k, 1, i64(1) << 40);
    }
  }
  if (const auto* r = std::get_if<RecurrentState>(&attention)) {
    check.range(path + ".conv", r->conv_elements, 0, i64(1) << 40);
    check.range(path + ".state", r->state_elements, 0, i64(1) << 40);
    check.range(path + ".heads", r->heads, 1, most_heads);
    check.range(path + ".weights", r->weights, 0, i64(1) << 40);
  }
}

void check_feed_forward(Check& check, const std::string& path, const FeedForward& ff) {
  if (const auto* d = std::get_if<DenseFeedForward>(&ff)) check.range(path + ".width", d->width, 1, most_hidden * 8);
  if (const auto* e = std::get_if<MoeFeedForward>(&ff)) {
    check.range(path + ".experts", e->experts, 1, most_experts);
    check.range(path + ".top_k", e->top_k, 1, most_experts);
    check.range(path + ".width", e->width, 1, most_hidden * 8);
    check.range(path + ".shared_width", e->shared_width, 0, most_hidden * 8);
    check.range(path + ".expert_hidden", e->expert_hidden, 0, most_hidden);
    if (e->top_k > e->experts) check.add(path + ".top_k", "is more than the number of experts");
  }
}

}  // namespace

namespace {

/// Elements of a group's matrices, generously and in floating point: finds what would overflow an integer.
double rough_size(const Model& m, const LayerGroup& g) {
  double hidden = double(m.hidden), size = double(g.other_weights);
  if (const Heads* h = heads_of(g.attention)) size += 4 * hidden * double(h->query) * double(h->key_dim + h->value_dim);
  if (const auto* a = std::get_if<LatentAttention>(&g.attention))
    size += (hidden + double(a->q_lora_rank + a->kv_lora_rank)) * double(a->query_heads) *
                double(a->nope_dim + a->rope_dim + a->value_dim) +
            hidden * double(a->q_lora_rank + a->kv_lora_rank);
  if (const auto* r = std::get_if<RecurrentState>(&g.attention)) size += double(r->weights);
  if (const auto* d = std::get_if<DenseFeedForward>(&g.feed_forward)) size += 3 * hidden * double(d->width);
  if (const auto* e = std::get_if<MoeFeedForward>(&g.feed_forward))
    size += 3 * std::max(hidden, double(e->expert_hidden)) *
            (double(e->experts) * double(e->width) + double(e->shared_width));
  return double(g.count) * size;
}

}  // namespace

/// Layers as people count them: sub-blocks written as groups of their own (T5's self- and cross-attention,
/// then its feed-forward) are one layer.
i64 Model::layer_count() const {
  i64 mixers = 0, feed_forwards = 0;
  for (const LayerGroup& g : layers) {
    if (!std::holds_alternative<NoAttention>(g.attention) && !std::holds_alternative<CrossAttention>(g.attention))
      mixers += g.count;
    if (!std::holds_alternative<NoFeedForward>(g.feed_forward)) feed_forwards += g.count;
  }
  return std::max(mixers, feed_forwards);
}

std::vector<Problem> problems(const Model& model) {
  std::vector<Problem> found;
  Check check(found);
  check.range("hidden", model.hidden, 1, most_hidden);
  check.range("vocab", model.vocab, 1, most_vocab);
  check.range("position_embeddings", model.position_embeddings, 0, i64(1) << 32);
  check.range("encoder_weights", model.encoder_weights, 0, i64(1) << 45);
  check.range("other_weights", model.other_weights, 0, i64(1) << 45);
  if (model.layers.empty()) check.add("layers", "a model needs at least one layer group");
  i64 total_layers = 0;
  for (std::size_t i = 0; i < model.layers.size(); ++i) {
    std::string path = "layers[" + std::to_string(i) + "]";
    const LayerGroup& g = model.layers[i];
    check.range(path + ".count", g.count, 1, most_layers);
    check.range(path + ".norms", g.norms, 0, 16);
    check.range(path + ".other_weights", g.other_weights, 0, i64(1) << 45);
    check_attention(check, path + ".attention", g.attention);
    check_feed_forward(check, path + ".feed_forward", g.feed_forward);
    total_layers += g.count;
  }
  if (total_layers > most_layers) check.add("layers", "more than 65,536 layers in all");
  double size = double(model.vocab) * double(model.hidden);
  for (const LayerGroup& g : model.layers) size += rough_size(model, g);
  if (found.empty() && size > 1e15) check.add("layers", "more than 1e15 parameters", "check the widths");
  return found;
}

namespace {

/// MLA spelled out: each head with keys and values of its own, as a model without the latent would have.
FullAttention expanded(const LatentAttention& a) {
  return {{a.query_heads, a.query_heads, a.nope_dim + a.rope_dim, a.value_dim}};
}

}  // namespace

Model with_kv_heads(Model model, i64 kv_heads) {
  for (LayerGroup& group : model.layers) {
    if (const LatentAttention* latent = std::get_if<LatentAttention>(&group.attention))
      group.attention = expanded(*latent);
    if (Heads* heads = heads_of(group.attention)) heads->kv = kv_heads == 0 ? heads->query : kv_heads;
  }
  return model;
}

}  // namespace kvroof
